"""A network of a few thousand parameters under a name of its own, so that stored runs of it are small."""

from fastitpn.models.architecture import Architecture
from fastitpn.models.registry import ARCHITECTURES, register_size

MICRO = "fastitpn_micro"

SIZES = Architecture(embed_dim=16, depths=(1, 1, 2), num_heads=1, img_size=32, pyramid_dim=8)
"""Every part of a trunk and a pyramid, each as narrow as it goes. The stored runs are of these sizes: do not change."""


def register_micro() -> None:
    """Adds the network to the package's models and to timm's; twice is no harm."""
    if MICRO not in ARCHITECTURES:
        register_size(MICRO, SIZES)
