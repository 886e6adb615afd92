"""Small sizes of iTPN and HiViT for tests; as a plugin of pytest it gives them to timm's own."""

import dataclasses

from fastitpn.models.registry import ARCHITECTURES, register_size

ITPN, HIVIT = "itpn_micro", "hivit_micro"

for _name, _like, _depths in ((ITPN, "itpn_base", (1, 1, 3)), (HIVIT, "hivit_base", (2, 2, 3))):
    if _name not in ARCHITECTURES:
        sizes = {"embed_dim": 48, "depths": _depths, "num_heads": 3, "img_size": 64, "pyramid_dim": 24}
        register_size(_name, dataclasses.replace(ARCHITECTURES[_like], **sizes))
