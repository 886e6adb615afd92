"""The pre-training model against the stored numbers of the reconstruction of the published one."""

import copy

import pytest
import torch
import torch.nn.functional as F
from published import assert_golden, golden, pretraining_model, randn, small_pretraining_model

from fastitpn.errors import InputError
from fastitpn.models.layers.cells import cells_to_map
from fastitpn.pretraining.model import create_pretraining_model

NORMS = ("end", "trunk_and_end")


@torch.no_grad()
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("hidden", ["masked", "unmasked"])
def test_published_levels(hidden: str, norm: str, path: str) -> None:
    expected, model = golden(f"fastmim_recon_tiny_norm_{norm}"), pretraining_model(norm)
    masked = expected["mask"] if hidden == "masked" else None
    for level, name in zip(model.levels(randn(2, 3, 64, 64), masked), ("p4", "p8", "p16"), strict=True):
        assert_golden(cells_to_map(level, 4, 4), expected[f"{hidden}/{name}"])


@torch.no_grad()
@pytest.mark.parametrize("norm", NORMS)
def test_published_predictions_and_losses(norm: str, path: str) -> None:
    expected, model = golden(f"fastmim_recon_tiny_norm_{norm}"), pretraining_model(norm)
    images, masked = randn(2, 3, 64, 64), expected["mask"]
    assert_golden(model.merged_tokens(images, masked), expected["masked/merged_tokens"])
    predictions, target = model(images, masked), expected["target"]
    assert_golden(predictions, expected["masked/pred_all_tokens"])
    assert_golden(predictions[masked], expected["masked/pred_masked_tokens"])
    cosine = F.cosine_similarity(predictions, target, dim=-1)
    assert_golden(-cosine[masked].mean(), expected["loss/neg_cosine_masked"])
    assert_golden(-cosine.mean(), expected["loss/neg_cosine_all"])
    assert_golden(F.smooth_l1_loss(predictions, target), expected["loss/smooth_l1_all"])


@torch.no_grad()
def test_the_two_places_of_the_norm_differ() -> None:
    expected = golden("fastmim_recon_tiny_norm_trunk_and_end")
    with pytest.raises(AssertionError, match="not close"):
        assert_golden(
            pretraining_model("end")(randn(2, 3, 64, 64), expected["mask"]), expected["masked/pred_all_tokens"]
        )


@torch.no_grad()
def test_hidden_pixels_change_nothing_and_visible_ones_do(path: str) -> None:
    model, images = pretraining_model(), randn(2, 3, 64, 96)
    masked = torch.rand(2, 24, generator=torch.Generator().manual_seed(0)) < 0.4
    hidden = masked.view(2, 1, 4, 6).repeat_interleave(16, 2).repeat_interleave(16, 3)
    noise = randn(2, 3, 64, 96, seed=1)
    expected = model(images, masked)
    assert torch.equal(model(torch.where(hidden, noise, images), masked), expected)
    changed = model(torch.where(hidden, images, noise), masked)
    assert ((changed - expected).abs().amax(-1) > 1e-3).all()


@torch.no_grad()
def test_hiding_nothing_and_no_mask_are_the_same() -> None:
    model, images = pretraining_model(), randn(1, 3, 64, 64)
    torch.testing.assert_close(model(images, torch.zeros(1, 16, dtype=torch.bool)), model(images))


@torch.no_grad()
def test_images_do_not_mix_in_a_batch(path: str) -> None:
    model, images = pretraining_model(), randn(3, 3, 64, 64)
    masked = torch.rand(3, 16, generator=torch.Generator().manual_seed(0)) < 0.4
    one_by_one = [model(image[None], m[None]) for image, m in zip(images, masked, strict=True)]
    torch.testing.assert_close(model(images, masked), torch.cat(one_by_one))


@pytest.mark.parametrize("checkpointed", [False, True])
def test_every_parameter_learns_and_the_patch_embedding_a_tenth_as_fast(checkpointed: bool) -> None:
    gradients = []
    for stop_grad in (True, False):
        model = pretraining_model().train()
        model.backbone.stop_grad_patch_embed = stop_grad
        model.backbone.set_grad_checkpointing(checkpointed)
        masked = golden("fastmim_recon_tiny_norm_end")["mask"]
        model(randn(2, 3, 64, 64), masked)[masked].square().mean().backward()
        assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    for name, slow in gradients[0].items():
        torch.testing.assert_close(slow, gradients[1][name] * (0.1 if "patch_embed" in name else 1.0))


@torch.no_grad()
def test_it_is_built_by_name_with_the_published_settings() -> None:
    model = create_pretraining_model("fastitpn_nano", teacher_dim=48, drop_path_rate=0.1, norm="trunk_and_end")
    assert model.backbone.stop_grad_patch_embed
    assert model.norm_on_trunk
    assert model.teacher_dim == 48
    assert not [name for name, _ in model.named_parameters() if "head" in name or "fc_norm" in name]
    masked = torch.zeros(2, 24, dtype=torch.bool)
    assert model(torch.zeros(2, 3, 64, 96), masked).shape == (2, 24, 48)
    assert all(p.is_meta for p in create_pretraining_model("fastitpn_tiny", teacher_dim=8, device="meta").parameters())


def test_a_wrong_place_of_the_norm_is_refused() -> None:
    with pytest.raises(InputError, match=r"norm='start'\n.*expected:.*end, trunk_and_end"):
        small_pretraining_model(norm="start")


@pytest.mark.parametrize("grad", [False, True])
def test_it_compiles_without_a_graph_break(grad: bool) -> None:
    model = small_pretraining_model(depths=(1, 1, 1))
    images, masked = randn(2, 3, 64, 64), golden("fastmim_recon_tiny_norm_end")["mask"]
    with torch.set_grad_enabled(grad):
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(images, masked), model(images, masked))


@torch.no_grad()
def test_bfloat16_and_copies() -> None:
    model, images = pretraining_model(), randn(2, 3, 64, 64)
    masked = golden("fastmim_recon_tiny_norm_end")["mask"]
    expected = model(images, masked)
    assert torch.equal(copy.deepcopy(model)(images, masked), expected)
    half = model.bfloat16()(images.bfloat16(), masked)
    assert half.dtype == torch.bfloat16
    assert F.cosine_similarity(half.float(), expected, dim=-1).min() > 0.99
