"""Weights that a configuration of transformers asks for, which its backbone leaves out without a word."""

import inspect
import sys
from typing import Any

import torch

_CONFIG, _MODULE = "TimmBackboneConfig", "transformers.models.timm_backbone"
_KEYS = ("pretrained_cfg_overlay", "checkpoint_path")


def asked_by_transformers() -> dict[str, Any] | None:
    """Where the configuration of transformers says that the weights are from, for the model that is being built.

    `TimmBackboneConfig(backbone=NAME, use_pretrained_backbone=True)` stores its last key, and nobody reads it; so with
    `pretrained_cfg_overlay={"file": FILE}`, `checkpoint_path=FILE`, and these in `backbone_kwargs`.

    Returns:
        `pretrained_cfg_overlay` of timm, empty for the published file; None where nothing was asked for, or where
        transformers builds the model without memory, to load a checkpoint of its own into it.
    """
    config = _config() if _MODULE in sys.modules and torch.get_default_device().type != "meta" else None
    if config is None:
        return None
    inner = getattr(config, "backbone_kwargs", None) or {}
    overlay, file = (inner.get(key) or getattr(config, key, None) for key in _KEYS)
    overlay = dict(overlay or ({"file": file} if file else {}))
    asked = overlay or inner.get("pretrained") or getattr(config, "use_pretrained_backbone", False)
    return overlay if asked else None


def _config() -> Any:
    """The configuration of the `TimmBackbone` that is building its model; None if none is."""
    frame = inspect.currentframe()
    while frame is not None:
        config = frame.f_locals.get("config") if frame.f_globals.get("__name__", "").startswith(_MODULE) else None
        if type(config).__name__ == _CONFIG:
            return config
        frame = frame.f_back
    return None
