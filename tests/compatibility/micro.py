"""A network of a few thousand parameters under a name of its own, so that stored runs of it are small.

This is the only module of the folder that knows more of the package than its public functions: if the registry changes,
`register_micro` is the one place to adapt.
"""

from typing import Any

from fastitpn.models import registry

MICRO = "fastitpn_micro"

SIZES: dict[str, Any] = {"embed_dim": 16, "depths": (1, 1, 2), "num_heads": 1, "img_size": 32, "pyramid_dim": 8}
"""Every part of a trunk and a pyramid, each as narrow as it goes. The stored runs are of these sizes: do not change."""


def register_micro() -> None:
    """Adds the network to the package's models and to timm's, as the package does with its own; twice is no harm."""
    if MICRO in registry.ARCHITECTURES:
        return
    registry.ARCHITECTURES[MICRO] = _architecture()
    registry.default_cfgs.update(registry.generate_default_cfgs({MICRO: registry._cfg(SIZES["img_size"])}))
    registry._register(MICRO, pyramid=False)
    registry._register(MICRO, pyramid=True)


def _architecture() -> Any:
    """The sizes as the registry holds them: a dict today; where it is another type, make one of that."""
    kind = type(next(iter(registry.ARCHITECTURES.values())))
    return kind(**SIZES)
