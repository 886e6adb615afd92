import json

import pytest
import torch
from published import GOLDEN, layout

from fastitpn.models.layer_ids import layer_id, num_layers
from fastitpn.models.registry import ARCHITECTURES, create_model
from fastitpn.models.weights.official_names import from_official_names
from fastitpn.training.optimizer import parameter_groups
from fastitpn.training.task import Task


@pytest.mark.parametrize("size", ["tiny", "small", "base", "large"])
def test_groups_of_the_real_model_are_the_published_ones(size: str) -> None:
    stored = json.loads((GOLDEN / f"layer_decay_{size}.json").read_text())
    depths = ARCHITECTURES[f"fastitpn_{size}"].depths
    assert num_layers(depths) == stored["num_layers(len(blocks))"]
    model = create_model(f"fastitpn_{size}", device="meta")
    groups = parameter_groups(
        model.named_parameters(),
        lr=1.0,
        weight_decay=0.05,
        layer_decay=stored["layer_decay"],
        layer_id=lambda name: layer_id(name, depths),
        num_layers=num_layers(depths),
        no_decay=Task.no_decay,
    )
    ours = {name: (group["lr_scale"], group["weight_decay"]) for group in groups for name, _ in group["params"]}
    _, origin = from_official_names(published_tensors(size))
    theirs = {name: stored["param -> [lr_scale, weight_decay]"][made_of[0]] for name, made_of in origin.items()}
    assert ours.keys() == theirs.keys()
    for name, (scale, decay) in theirs.items():
        assert ours[name] == (pytest.approx(scale, abs=1e-9), decay), name
    assert sum(len(made_of) for made_of in origin.values()) == len(stored["param -> [lr_scale, weight_decay]"])


def published_tensors(size: str) -> dict[str, torch.Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in layout(size, "cls")["entries"].items()}


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("mask_token", 0),
        ("cls_token", 0),
        ("patch_embed.proj.bias", 0),
        ("stages.0.blocks.1.norm.bias", 2),
        ("stages.1.merge.norm.bias", 3),
        ("stages.1.blocks.0.mlp.fc1.weight", 4),
        ("stages.2.merge.reduction.weight", 7),
        ("stages.2.blocks.0.gamma_1", 8),
        ("stages.2.blocks.10.gamma_1", 18),
        ("pyramid.up8.weight", 49),
        ("norm.weight", 49),
        ("head.bias", 49),
    ],
)
def test_places(name: str, number: int) -> None:
    assert layer_id(name, (2, 3, 41)) == number
