"""Images: found, decoded, and transformed."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"decode": ["read_image"]})
