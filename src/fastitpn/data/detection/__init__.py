"""Images with boxes and masks of objects."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"images": ["DetectionImages", "detection_images", "detection_split"]}
)
