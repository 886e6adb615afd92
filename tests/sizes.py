"""Sizes that a test adds to the models and takes out again."""

import timm

from fastitpn.models.registry import ARCHITECTURES


def forget_size(name: str) -> None:
    """The inverse of `register_size`; timm has none."""
    del ARCHITECTURES[name]
    for model in (name, f"{name}_fpn"):
        timm.models._registry._model_entrypoints.pop(model)
        timm.models._registry._clear_model_entries(model)
