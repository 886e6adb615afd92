"""The named models, registered with timm on import."""

import difflib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import timm
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model

from fastitpn.errors import InputError
from fastitpn.imagenet import IMAGENET_MEAN, IMAGENET_STD, crop_share
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.architecture import ARCHITECTURES, Architecture
from fastitpn.models.timm_features import FeatureMaps
from fastitpn.models.transformers_config import asked_by_transformers
from fastitpn.models.weights.cache import fetched
from fastitpn.models.weights.published import file_for_model

if TYPE_CHECKING:
    from fastitpn.models.backbone import FastITPN

logger = logging.getLogger(__name__)

_SOURCES = ("file", "url", "state_dict", "hf_hub_id")
"""Where timm's settings may say that weights are from."""

default_cfgs: dict[str, Any] = {}
"""Where timm looks for the settings of this module's models."""


def register_size(name: str, architecture: Architecture) -> None:
    """Give a size a name here and with timm, where NAME_fpn is the same with its pyramid.

    Args:
        name: Such as `fastitpn_micro`.
        architecture: What it is made of; its native input is square.
    """
    ARCHITECTURES[name] = architecture
    default_cfgs.update(generate_default_cfgs({name: _settings(architecture)}))
    _register_entrypoint(name, pyramid=False)
    _register_entrypoint(name, pyramid=True)


def _settings(architecture: Architecture) -> dict[str, Any]:
    px = architecture.px
    return {
        "url": "",
        "num_classes": 1000,
        "input_size": (3, px, px),
        "pool_size": (px // 16, px // 16),
        "crop_pct": crop_share(px),
        "interpolation": "bicubic",
        "mean": IMAGENET_MEAN,
        "std": IMAGENET_STD,
        "first_conv": "patch_embed.proj",
        "classifier": "head",
        "license": "apache-2.0",
    }


def _register_entrypoint(name: str, pyramid: bool) -> None:
    def entrypoint(pretrained: bool = False, **kwargs: Any) -> "FastITPN":
        return _create(name, pretrained, **{"pyramid": pyramid, **kwargs})

    entrypoint.__name__ = entrypoint.__qualname__ = f"{name}_fpn" if pyramid else name
    entrypoint.__module__ = __name__
    entrypoint.__doc__ = f"{name}{' with its pyramid: features_only gives five levels' if pyramid else ''}."
    register_model(entrypoint)


def load_for_timm(state_dict: Mapping[str, Any], model: "FastITPN") -> dict[str, Any]:
    """What timm loads from a state dict or from a hub: all of the model, into which the weights went already.

    Raises:
        InputError: They do not fit.
    """
    from fastitpn.models.weights.loading import load_weights  # not before: see `_create`

    logger.info("%s", load_weights(model, state_dict))
    return model.state_dict()


def _create(name: str, pretrained: bool, pyramid: bool = False, **kwargs: Any) -> "FastITPN":
    from fastitpn.models.backbone import FastITPN  # not before: one of its modules may be what imports timm

    if not pretrained and (asked := asked_by_transformers()) is not None:
        pretrained, kwargs = True, {**kwargs, "pretrained_cfg_overlay": asked}
    overlay = kwargs.get("pretrained_cfg_overlay") or {}
    if pretrained and not kwargs.get("pretrained_cfg") and not any(overlay.get(source) for source in _SOURCES):
        overlay = {**overlay, "file": str(fetched(file_for_model(name)))}
    if overlay.get("file"):  # timm reads it otherwise, and refuses files with objects
        kwargs["pretrained_cfg_overlay"] = {"custom_load": True, **overlay}
    levels = 5 if pyramid else 3
    return build_model_with_cfg(
        FastITPN,
        name,
        pretrained,
        pretrained_filter_fn=load_for_timm,
        feature_cfg={"out_indices": tuple(range(levels)), "feature_cls": FeatureMaps, "output_fmt": "NCHW"},
        pyramid=pyramid,
        **{**ARCHITECTURES[name].changes(), **kwargs},
    )


for _name, _architecture in ARCHITECTURES.items():
    register_size(_name, _architecture)


def create_model(
    name: str,
    *,
    pyramid: bool = False,
    migration: Migration | None = None,
    gathering: Gathering | None = None,
    **timm_kwargs: Any,
) -> "FastITPN":
    """Build a Fast-iTPN, or the earlier iTPN or HiViT.

    Args:
        name: `fastitpn_nano`, `_tiny`, `_small`, `_base` or `_large`; `itpn_base` or `_large` (pre-trained with CLIP),
            `itpn_base_pixel` or `itpn_large_pixel`; `hivit_tiny`, `_small` or `_base`. See `ARCHITECTURES`.
        pyramid: With the feature pyramid, for `pyramid_features`.
        migration: Tokens that leave stage 3 early, see `Migration`.
        gathering: Attention in windows, see `Gathering`. `model.set_acceleration` sets both, later and by name.
        **timm_kwargs: As for `timm.create_model`: `img_size`, `in_chans`, `num_classes`, `drop_path_rate`,
            `pretrained` (the published file of that model, once `fastitpn weights get` fetched it), ...; and any
            argument of `FastITPN`.

    Returns:
        The model, with fresh weights (see `load_weights`) unless it is `pretrained`.

    Raises:
        InputError: Unknown name, a migration or gathering that does not fit the model, or a published file that was not
            fetched: the text says what to type.
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
