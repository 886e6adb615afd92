import json
from typing import Any

import pytest
import torch
from published import GOLDEN, layout
from torch import nn

from fastitpn.models.registry import create_model
from fastitpn.models.weights.official_names import from_official_names
from fastitpn.pretraining.model import create_pretraining_model
from fastitpn.training.optimizer import adamw, parameter_groups, set_learning_rate
from fastitpn.training.task import Task


class Layers(nn.Module):
    """Parameters of given names and shapes; their layers are the numbers in the names."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]):
        super().__init__()
        for name, shape in shapes.items():
            *parents, leaf = name.split(".")
            module: nn.Module = self
            for parent in parents:
                if not hasattr(module, parent):
                    module.add_module(parent, nn.Module())
                module = getattr(module, parent)
            module.register_parameter(leaf, nn.Parameter(torch.zeros(shape)))

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        return {"blocks": r"^block(\d+)"}


def groups_of(shapes: dict[str, tuple[int, ...]], **changes: Any) -> list[dict[str, Any]]:
    options = {"lr": 1.0, "weight_decay": 0.05, "layer_decay": None, "no_decay": {"pos_embed"}}
    return parameter_groups(Layers(shapes), **{**options, **changes})


def names_of(groups: list[dict[str, Any]]) -> list[list[str]]:
    return [[name for name, _ in group["params"]] for group in groups]


@pytest.mark.parametrize("size", ["tiny", "small", "base", "large"])
@pytest.mark.parametrize("pyramid", [False, True])
def test_layer_decay_equals_the_published_table(size: str, pyramid: bool) -> None:
    stored = json.loads((GOLDEN / f"layer_decay_{size}.json").read_text())
    table = stored["param -> [lr_scale, weight_decay]"]
    model = create_model(f"fastitpn_{size}", pyramid=pyramid, device="meta")
    rates = {"lr": 2.0, "weight_decay": 0.05, "layer_decay": stored["layer_decay"]}
    groups = parameter_groups(model, **rates, no_decay=Task.no_decay)
    ours = {name: (group["lr_scale"], group["weight_decay"]) for group in groups for name, _ in group["params"]}
    shapes = layout(size, "cls")["entries"]
    _, origin = from_official_names({name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    assert ours.keys() - origin.keys() == {name for name in ours if name.startswith("pyramid.")}
    for name, (published, *_) in origin.items():
        scale, decay = table[published]
        assert ours[name] == (pytest.approx(scale, abs=1e-9), decay), name
    assert sum(len(made_of) for made_of in origin.values()) == len(table)
    assert {ours[name][0] for name in ours if name.startswith("pyramid.")} <= {1.0}  # the whole learning rate
    assert all(group["lr"] == 2.0 * group["lr_scale"] for group in groups)


def test_tokens_and_biases_are_spared_from_decay_but_not_the_mask_token() -> None:
    shapes = {"mask_token": (1, 8), "trunk.pos_embed": (1, 4, 2), "norm.weight": (4,), "a.bias": (4, 4), "s": ()}
    for layer_decay in (None, 0.5):
        groups = groups_of(shapes, layer_decay=layer_decay)
        decays = {name: group["weight_decay"] for group in groups for name, _ in group["params"]}
        assert decays == {"mask_token": 0.05, "trunk.pos_embed": 0.0, "norm.weight": 0.0, "a.bias": 0.0, "s": 0.0}
        assert {group["lr_scale"] for group in groups} == {1.0}


@pytest.mark.parametrize("keys", [{"layer_decay": 1.0}, {"layer_decay": None}, {"layer_decay": 0.5, "weight_decay": 0}])
def test_groups_and_parameters_are_in_the_order_of_the_model(keys: dict[str, Any]) -> None:
    """Stored optimisers know parameters by their place alone; layers of the same rates are one group."""
    shapes = {"head.w": (2, 2), "block0.w": (2, 2), "block0.b": (2,), "block1.w": (2, 2), "block1.b": (2,)}
    names = names_of(groups_of(shapes, **keys))
    if keys["layer_decay"] == 0.5:
        assert names == [["head.w"], ["block0.w", "block0.b"], ["block1.w", "block1.b"]]
    else:
        assert names == [["head.w", "block0.w", "block1.w"], ["block0.b", "block1.b"]]


def test_frozen_parameters_are_left_out() -> None:
    model = Layers({"frozen": (2, 2)}).requires_grad_(False)
    assert parameter_groups(model, lr=1.0, weight_decay=0.0, layer_decay=None, no_decay=()) == []


def test_the_rate_of_a_step_is_shared_out_by_scale() -> None:
    groups = groups_of({"block0.a": (2, 2), "block1.a": (2, 2), "b": (2, 2)}, layer_decay=0.5)
    optimizer = adamw(groups, betas=(0.9, 0.98))
    set_learning_rate(optimizer, 3.0)
    # named parameters come by modules: `b` is the first
    assert [group["lr"] for group in optimizer.param_groups] == [3.0, 3.0 * 0.5**2, 3.0 * 0.5]
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.98)


def test_the_fused_kernel_can_be_switched_off() -> None:
    assert adamw(groups_of({"a": (2, 2)}), betas=(0.9, 0.999)).defaults["fused"] is True
    assert adamw(groups_of({"a": (2, 2)}), betas=(0.9, 0.999), fused=False).defaults["fused"] is False


@pytest.mark.parametrize("wrapped", [False, True])
def test_layer_decay_of_itpn_is_that_of_12_blocks_at_any_depth(wrapped: bool) -> None:
    """A merge has the rate of the block before it."""
    trunk = create_model("itpn_base", depths=(2, 1, 3), pyramid=True, device="meta")
    model = create_pretraining_model("itpn_base", teacher_dim=8, depths=(2, 1, 3), device="meta") if wrapped else trunk
    groups = parameter_groups(model, lr=1.0, weight_decay=0.05, layer_decay=0.6, no_decay=Task.no_decay)
    scales = {name.removeprefix("backbone."): group["lr_scale"] for group in groups for name, _ in group["params"]}
    expected = {  # layers up to the head
        "patch_embed.norm.weight": 7,
        "pos_embed": 7,
        "stages.0.blocks.0.gamma": 6,
        "stages.0.blocks.1.norm.bias": 5,
        "stages.1.merge.reduction.weight": 5,
        "stages.1.blocks.0.mlp.fc1.weight": 4,
        "stages.2.merge.norm.weight": 4,
        "stages.2.blocks.0.attn.rel_pos_bias.table": 3,
        "stages.2.blocks.2.attn.qkv.bias": 1,
        "pyramid.up8.weight": 0,
    }
    for name, layers in expected.items():
        assert scales[name] == pytest.approx(0.6 ** (layers * 13 / 7)), name
