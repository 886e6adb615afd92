import json
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from fastitpn.training.optimizer import adamw, parameter_groups, set_learning_rate

GOLDEN = Path(__file__).parents[1] / "golden"


def published_shape(name):
    """Dimensions are all that counts: the published weights are 4-D or 2-D, norms, scales and biases 1-D."""
    if name == "pos_embed":
        return (1, 2, 2)
    leaf = name.rpartition(".")[2]
    is_norm = re.search(r"norm|ffn_ln", name)
    return (2, 2) if leaf == "weight" and not is_norm else (2,)


def published_layer_id(num_layers):
    def layer_id(name):
        if name.startswith(("patch_embed", "pos_embed", "cls_token", "mask_token")):
            return 0
        block = re.match(r"blocks\.(\d+)\.", name)
        return int(block[1]) + 1 if block else num_layers + 1

    return layer_id


@pytest.mark.parametrize("size", ["tiny", "small", "base", "large"])
def test_layer_decay_equals_the_published_table(size):
    golden = json.loads((GOLDEN / f"layer_decay_{size}.json").read_text())
    table = golden["param -> [lr_scale, weight_decay]"]
    num_layers = golden["num_layers(len(blocks))"]
    groups = parameter_groups(
        [(name, nn.Parameter(torch.zeros(published_shape(name)))) for name in table],
        lr=2.0,
        weight_decay=0.05,
        layer_decay=golden["layer_decay"],
        layer_id=published_layer_id(num_layers),
        num_layers=num_layers,
        no_decay={"pos_embed", "cls_token"},
    )
    ours = {name: (group["lr_scale"], group["weight_decay"]) for group in groups for name, _ in group["params"]}
    assert ours.keys() == table.keys()
    for name, (scale, decay) in table.items():
        assert ours[name] == (pytest.approx(scale, abs=1e-9), decay), name
    assert all(group["lr"] == 2.0 * group["lr_scale"] for group in groups)


def groups_of(shapes, **changes):
    options = {"lr": 1.0, "weight_decay": 0.05, "layer_decay": None, "num_layers": 3, "no_decay": {"pos_embed"}}
    parameters = [(name, nn.Parameter(torch.zeros(shape))) for name, shape in shapes.items()]
    return parameter_groups(parameters, **{**options, "layer_id": None, **changes})


def test_pretraining_decays_the_mask_token_and_no_layer_id_is_asked():
    shapes = {"mask_token": (1, 1, 8), "trunk.pos_embed": (1, 4, 2), "norm.weight": (4,), "a.bias": (4, 4), "s": ()}
    decays = {name: group["weight_decay"] for group in groups_of(shapes) for name, _ in group["params"]}
    assert decays == {"mask_token": 0.05, "trunk.pos_embed": 0.0, "norm.weight": 0.0, "a.bias": 0.0, "s": 0.0}
    assert {group["lr_scale"] for group in groups_of(shapes)} == {1.0}


def test_frozen_parameters_are_left_out():
    frozen = nn.Parameter(torch.zeros(2, 2), requires_grad=False)
    groups = parameter_groups(
        [("frozen", frozen)],
        lr=1.0,
        weight_decay=0.0,
        layer_decay=None,
        layer_id=lambda name: 0,
        num_layers=1,
        no_decay=(),
    )
    assert groups == []


def test_the_rate_of_a_step_is_shared_out_by_scale():
    groups = groups_of({"a": (2, 2), "b": (2, 2)}, layer_decay=0.5, layer_id={"a": 0, "b": 4}.__getitem__)
    optimizer = adamw(groups, betas=(0.9, 0.98))
    set_learning_rate(optimizer, 3.0)
    assert [group["lr"] for group in optimizer.param_groups] == [3.0 * 0.5**4, 3.0]
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.98)


def test_the_fused_kernel_can_be_switched_off():
    assert adamw(groups_of({"a": (2, 2)}), betas=(0.9, 0.999)).defaults["fused"] is True
    assert adamw(groups_of({"a": (2, 2)}), betas=(0.9, 0.999), fused=False).defaults["fused"] is False
