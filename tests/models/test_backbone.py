"""The model's numbers against the stored ones of the published code, on every path they can take; timm's contract."""

from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from published import CASES, assert_golden, classifier, golden, nano, randn, small_model
from torch import Tensor, nn

from fastitpn.models.layers.cells import cells_to_map, patchify
from fastitpn.models.weights.official_names import to_official_names


def images(case: str) -> Tensor:
    return randn(2, 3, 64, 96 if case == "rect64x96" else 64)


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_published_classifier(case: str, path: str) -> None:
    expected, model = golden(f"fast_tiny_{case}"), classifier(case)
    assert_golden(model.encode(images(case))[-1], expected["stage3_tokens_before_norm"])
    assert_golden(model(images(case)), expected["logits"])
    pooled = model.forward_head(model.forward_features(images(case)), pre_logits=True)
    assert_golden(pooled, expected["forward_features"])


@torch.no_grad()
def test_published_stages(path: str) -> None:
    expected, model = golden("fast_tiny_meanpool"), classifier("meanpool")
    f4, f8, tokens = model.encode(images("meanpool"))
    assert_golden(cells_to_map(f4, 4, 4), expected["stage1"])
    assert_golden(cells_to_map(f8, 4, 4), expected["stage2"])
    assert_golden(tokens, expected["stage3_tokens_before_norm"])
    embedded = model.patch_embed(patchify(images("meanpool")))
    assert_golden(cells_to_map(embedded, 4, 4), expected["patch_embed"])
    merged = model.stages[1].merge(f4)
    assert_golden(cells_to_map(merged, 4, 4), expected["merge1"])
    tokens = model.stages[2].merge(f8)
    assert_golden(cells_to_map(tokens, 4, 4), expected["merge2"])
    assert_golden(model.stages[2].blocks[0](tokens.squeeze(2) + model.pos_embed), expected["block_first_main"])


@pytest.mark.parametrize("path", ["plain", "without onednn"], indirect=True)
@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize(("name", "stop_grad"), [("meanpool", False), ("stopgradconv1", True)])
def test_published_gradients(name: str, stop_grad: bool, checkpointed: bool, path: str) -> None:
    """All gradients, through the layouts' conversion, which only permutes them."""
    expected = golden(f"fast_tiny_{name}_grads")
    model = classifier("meanpool", stop_grad_patch_embed=stop_grad).train()
    model.set_grad_checkpointing(checkpointed)
    loss = F.cross_entropy(model(images("meanpool")), torch.tensor([3, 7]))
    loss.backward()
    assert_golden(loss.detach(), expected.pop("loss"))
    gradients = to_official_names({key: parameter.grad for key, parameter in model.named_parameters()})
    if not stop_grad:
        assert {key.removeprefix("grad_l2/") for key in expected} == set(gradients)
    for key, norm in expected.items():
        assert_golden(gradients[key.removeprefix("grad_l2/")].norm(), norm)


@torch.no_grad()
@pytest.mark.parametrize(
    "mutate",
    [
        lambda m: [setattr(norm, "eps", 1e-5) for norm in m.modules() if isinstance(norm, nn.LayerNorm)],
        lambda m: m.stages[2].blocks[-1].attn.q_bias.zero_(),
        lambda m: m.stages[2].blocks[-1].gamma_1.zero_(),
        lambda m: m.pos_embed.copy_(m.pos_embed.unflatten(1, (4, 4)).transpose(1, 2).flatten(1, 2)),
    ],
)
def test_the_stored_numbers_notice_a_wrong_model(mutate: Any) -> None:
    model = classifier("meanpool")
    mutate(model)
    with pytest.raises(AssertionError, match="not close"):
        assert_golden(model(images("meanpool")), golden("fast_tiny_meanpool")["logits"])


@torch.no_grad()
def test_intermediates_are_the_stages_and_the_final_norm_is_optional() -> None:
    model, x = classifier("clstoken_nomeanpool"), images("clstoken_nomeanpool")
    expected = golden("fast_tiny_clstoken_nomeanpool")["stage3_tokens_before_norm"]
    final, maps = model.forward_intermediates(x)
    assert torch.equal(final, model.forward_features(x))
    assert [m.shape[1:] for m in maps] == [(16, 16, 16), (32, 8, 8), (64, 4, 4)]
    assert_golden(maps[2].flatten(2).transpose(1, 2), expected[:, 1:])
    [normed] = model.forward_intermediates(x, indices=1, norm=True, output_fmt="NHWC", intermediates_only=True)
    torch.testing.assert_close(normed.flatten(1, 2), final[:, 1:])


@torch.no_grad()
def test_stop_early_runs_no_attention() -> None:
    model = small_model()
    model.stages[2].register_forward_pre_hook(lambda *_: pytest.fail("stage 3 ran"))
    model.stages[2].merge.register_forward_pre_hook(lambda *_: pytest.fail("stage 3 ran"))
    [f8] = model.forward_intermediates(torch.randn(1, 3, 64, 64), indices=[1], stop_early=True, intermediates_only=True)
    assert f8.shape == (1, 32, 8, 8)


@torch.no_grad()
@pytest.mark.parametrize("case", ["clstoken_meanpool", "shared_rel_cls"])
def test_a_pruned_model_with_a_class_token_still_pools_and_classifies(case: str) -> None:
    model, x = classifier(case), images(case)
    [expected] = model.forward_intermediates(x, indices=[1], intermediates_only=True)
    model.prune_intermediate_layers([1])
    torch.testing.assert_close(model(x), expected.mean((2, 3)))
    model.reset_classifier(3)
    assert model(x).shape == (2, 3)
    assert not {"pos_embed", "cls_token"} & model.state_dict().keys()


@torch.no_grad()
def test_reset_classifier_keeps_or_changes_the_pooling() -> None:
    model, x = small_model(), torch.randn(2, 3, 64, 64)
    pooled = model.forward_head(model.forward_features(x), pre_logits=True)
    model.reset_classifier(0)
    torch.testing.assert_close(model(x), pooled)
    model.reset_classifier(7)
    assert model(x).shape == (2, 7)
    assert model.head.weight.abs().max() < 2e-3  # fresh heads start at a hundredth of 0.02
    model.reset_classifier(0, "")
    assert model(x).shape == (2, 4, 4, 64)
    model.reset_classifier(4, "avg")
    assert isinstance(model.fc_norm, nn.LayerNorm)
    assert model(x).shape == (2, 4)


def test_layer_groups_of_timm_are_those_of_the_published_recipe() -> None:
    model = timm.create_model("fastitpn_small_fpn", class_token=True, device="meta")
    groups = timm.models.group_parameters(model, model.group_matcher(), reverse=True)
    for name, layer in {
        "cls_token": 0,
        "pos_embed": 0,
        "patch_embed.proj.bias": 0,
        "stages.0.blocks.1.norm.bias": 2,
        "stages.1.merge.norm.bias": 3,
        "stages.1.blocks.0.mlp.fc1.weight": 4,
        "stages.2.merge.reduction.weight": 6,
        "stages.2.blocks.0.gamma_1": 7,
        "stages.2.blocks.10.gamma_1": 17,
        "pyramid.up8.weight": 27,
        "fc_norm.weight": 27,
        "head.bias": 27,
    }.items():
        assert groups[name] == layer, name
    coarse = timm.models.group_parameters(model, model.group_matcher(coarse=True), reverse=True)
    assert {coarse["patch_embed.proj.bias"], coarse["stages.0.blocks.1.norm.bias"], coarse["head.bias"]} == {0, 1, 4}


def test_timm_spares_the_same_parameters_from_decay() -> None:
    model = nano(class_token=True)
    assert model.no_weight_decay() == {"pos_embed", "cls_token"} <= model.state_dict().keys()
