"""Fast-iTPN: a vision backbone whose feature pyramid is pre-trained with it.

Importing the package registers its models with timm, for when that is imported. All else is imported when first used.
"""

from typing import Any

import lazy_loader

from fastitpn.models.timm_import import register_with_timm

__version__ = "0.1.0"

_import, _, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'fastitpn' has no attribute {name!r}")
    return _import(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_with_timm()
