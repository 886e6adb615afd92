"""The stored numbers of the published iTPN and HiViT, and our models with their arguments and weights."""

import json
from typing import Any

from published import GOLDEN
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.reference import rule_value
from fastitpn.models.backbone import FastITPN
from fastitpn.models.registry import create_model
from fastitpn.models.weights.official_names import from_official_names, to_official_names

SMALL: dict[str, Any] = {"embed_dim": 64, "num_heads": 2, "img_size": 64, "num_classes": 10}
CLIP: dict[str, Any] = {**SMALL, "depths": (1, 1, 3)}
PIXEL: dict[str, Any] = {**SMALL, "depths": (1, 1, 3)}
HIVIT: dict[str, Any] = {**SMALL, "depths": (2, 4, 2)}
DETECTION: dict[str, Any] = {
    **SMALL,
    "depths": (1, 1, 2),
    "img_size": 224,
    "pyramid": True,
    "pyramid_dim": 16,
    "norm_eps": 1e-5,
    "num_classes": 0,
}
SEGMENTATION: dict[str, Any] = {
    **DETECTION,
    "img_size": 64,
    "position_px": 224,
    "pyramid_depth": 2,
    "pyramid_pool": "max",
    "pyramid_joined": True,
    "relative_position": "own",
}
SARATRX: dict[str, Any] = {**SMALL, "depths": (1, 1, 2), "pyramid": True, "pyramid_dim": 32, "pyramid_depth": 1}


def stored(name: str) -> dict[str, Tensor]:
    """Stored tensors of a case."""
    return load_file(GOLDEN / "itpn" / f"{name}.safetensors")


def stored_layout(name: str) -> dict[str, Any]:
    """Names and shapes of a published model: {"n_parameters": int, "entries": {name: shape}}."""
    return json.loads((GOLDEN / "itpn" / f"layout_{name}.json").read_text())


def fill_by_rule(model: nn.Module) -> None:
    """Give a model the stored numbers' weights, which follow from the published names and shapes."""
    published = {
        name: rule_value(name, tensor.shape)
        for name, tensor in to_official_names(model.state_dict()).items()
        if not name.endswith("_index")
    }
    ours, _ = from_official_names(published)
    names = {name.removeprefix("backbone."): name for name in model.state_dict()}
    model.load_state_dict({names[name]: tensor for name, tensor in ours.items()})


def ruled(name: str, **arguments: Any) -> FastITPN:
    """A model with the stored numbers' weights, in evaluation mode."""
    model = create_model(name, **arguments).eval()
    fill_by_rule(model)
    return model
