"""The named models, registered with timm on import."""

import difflib
from typing import Any

import timm
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model

from fastitpn.errors import InputError
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.backbone import FastITPN

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "fastitpn_nano": {"embed_dim": 192, "depths": (1, 1, 6), "num_heads": 3, "img_size": 64, "pyramid_dim": 64},
    "fastitpn_tiny": {"embed_dim": 384, "depths": (1, 1, 12), "num_heads": 6, "img_size": 224},
    "fastitpn_small": {"embed_dim": 384, "depths": (2, 2, 20), "num_heads": 6, "img_size": 224},
    "fastitpn_base": {"embed_dim": 512, "depths": (3, 3, 24), "num_heads": 8, "img_size": 224},
    "fastitpn_large": {"embed_dim": 768, "depths": (2, 2, 40), "num_heads": 12, "img_size": 256},
}
"""The published sizes, and `nano`, our own for CPUs and tests: 3.5 M parameters with its pyramid of 64 channels."""


def _cfg(img_size: int) -> dict[str, Any]:
    return {
        "url": "",
        "num_classes": 1000,
        "input_size": (3, img_size, img_size),
        "pool_size": (img_size // 16, img_size // 16),
        "crop_pct": 0.875 if img_size < 384 else 1.0,
        "interpolation": "bicubic",
        "mean": IMAGENET_DEFAULT_MEAN,
        "std": IMAGENET_DEFAULT_STD,
        "first_conv": "patch_embed.proj",
        "classifier": "head",
        "license": "apache-2.0",
    }


default_cfgs = generate_default_cfgs({name: _cfg(arch["img_size"]) for name, arch in ARCHITECTURES.items()})


def _create(name: str, pretrained: bool, pyramid: bool = False, **kwargs: Any) -> FastITPN:
    levels = 5 if pyramid else 3
    return build_model_with_cfg(
        FastITPN,
        name,
        pretrained,
        feature_cfg={"out_indices": tuple(range(levels)), "feature_cls": "getter"},
        pyramid=pyramid,
        **{**ARCHITECTURES[name], **kwargs},
    )


def _register(name: str, pyramid: bool) -> None:
    def entrypoint(pretrained: bool = False, **kwargs: Any) -> FastITPN:
        return _create(name, pretrained, **{"pyramid": pyramid, **kwargs})

    entrypoint.__name__ = entrypoint.__qualname__ = f"{name}_fpn" if pyramid else name
    entrypoint.__module__ = __name__
    entrypoint.__doc__ = f"{name}{' with its pyramid: features_only gives five levels' if pyramid else ''}."
    register_model(entrypoint)


for _name in ARCHITECTURES:
    _register(_name, pyramid=False)
    _register(_name, pyramid=True)


def create_model(
    name: str,
    *,
    pyramid: bool = False,
    migration: Migration | None = None,
    gathering: Gathering | None = None,
    **timm_kwargs: Any,
) -> FastITPN:
    """Build a Fast-iTPN.

    Args:
        name: `fastitpn_nano`, `_tiny`, `_small`, `_base` or `_large`.
        pyramid: With the feature pyramid, for `pyramid_features`.
        migration: Tokens that leave stage 3 early, see `Migration`.
        gathering: Attention in windows, see `Gathering`. `model.set_acceleration` sets both, later and by name.
        **timm_kwargs: As for `timm.create_model`: `img_size`, `in_chans`, `num_classes`, `drop_path_rate`, ...; and any
            argument of `FastITPN`.

    Returns:
        The model, with fresh weights (see `load_weights`).

    Raises:
        InputError: Unknown name, or a migration or gathering that does not fit the model.
    """
    known = [*ARCHITECTURES, *(f"{n}_fpn" for n in ARCHITECTURES)]
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1)
        raise InputError(
            f"no model is named {name!r}",
            expected=", ".join(ARCHITECTURES),
            fix=f"create_model({nearest[0]!r})" if nearest else None,
        )
    if pyramid:
        timm_kwargs["pyramid"] = True
    model: Any = timm.create_model(name, migration=migration, gathering=gathering, **timm_kwargs)
    return model
