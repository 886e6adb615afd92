"""The literal reference reproduces every stored number of the published model, and its layout key by key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.reference import SIZES, PatchEmbed, ReferenceClassifier, ReferencePretraining, rule_weights
from benchmarks.reference_itpn import ReferenceITPN

GOLDEN = Path(__file__).parents[1] / "golden"
INDEX = json.loads((GOLDEN / "INDEX.json").read_text())
TOLERANCE = json.loads((GOLDEN / "TOLERANCE.json").read_text())["suggested"]
CASES = (
    "meanpool",
    "nomeanpool",
    "clstoken_meanpool",
    "clstoken_nomeanpool",
    "nolayerscale",
    "noqkvbias",
    "nosubln_gelu_mlp",
    "nosubln_swiglu",
    "rect64x96",
    "rel_pos_cls",
    "shared_rel_cls",
    "shared_decoupled_cls",
)
RELATIVE_POSITION = {
    "use_rel_pos_bias": "own",
    "use_shared_rel_pos_bias": "shared",
    "use_shared_decoupled_rel_pos_bias": "shared_decoupled",
}


def golden(name: str) -> dict[str, Tensor]:
    return load_file(GOLDEN / f"{name}.safetensors")


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def assert_golden(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(
        actual, expected.reshape(actual.shape), atol=TOLERANCE["atol"], rtol=TOLERANCE["rtol"], check_stride=False
    )


def classifier(case: str, **changes: Any) -> ReferenceClassifier:
    """The reference with the published arguments of a golden case and the weights of the rule."""
    published = INDEX[f"fast_tiny_{case}.safetensors"]["kwargs"]
    size = published["img_size"]
    model = ReferenceClassifier(
        embed_dim=published["embed_dim"],
        depths=(published["depth_stage1"], published["depth_stage2"], published["depth"]),
        num_heads=published["num_heads"],
        img_size=size if isinstance(size, int) else tuple(size),
        num_classes=published["num_classes"],
        init_values=published["init_values"],
        qkv_bias=published["qkv_bias"],
        sub_norm=published["subln"],
        swiglu=published["naiveswiglu"],
        mean_pooling=published["use_mean_pooling"],
        class_token=published.get("cls_token", False),
        relative_position=next((kind for key, kind in RELATIVE_POSITION.items() if published.get(key)), None),
        **changes,
    )
    rule_weights(model)
    return model.eval()


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_classifier_matches_golden(case: str) -> None:
    expected = golden(f"fast_tiny_{case}")
    images = randn(2, 3, 64, 96 if case == "rect64x96" else 64)
    model = classifier(case)
    assert_golden(model.stages(images)[-1], expected["stage3_tokens_before_norm"])
    assert_golden(model.forward_features(images), expected["forward_features"])
    assert_golden(model(images), expected["logits"])


@torch.no_grad()
def test_every_step_of_the_trunk_matches_golden() -> None:
    expected = golden("fast_tiny_meanpool")
    model = classifier("meanpool")
    steps = ["stage1", "merge1", "stage2", "merge2", "block_first_main"]
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, inputs, output: outputs.update({name: output})

    for name, module in zip(["patch_embed", *steps], [model.patch_embed, *model.blocks], strict=False):
        module.register_forward_hook(keep(name))
    map4, map8, _ = model.stages(randn(2, 3, 64, 64))
    for name, output in outputs.items():
        assert_golden(output, expected[name])
    assert len(outputs) == 6
    assert torch.equal(map4, outputs["stage1"])
    assert torch.equal(map8, outputs["stage2"])


@pytest.mark.parametrize(("name", "stop_grad"), [("meanpool", False), ("stopgradconv1", True)])
def test_gradients_match_golden(name: str, stop_grad: bool) -> None:
    expected = golden(f"fast_tiny_{name}_grads")
    model = classifier("meanpool", stop_grad=stop_grad)
    loss = F.cross_entropy(model(randn(2, 3, 64, 64)), torch.tensor([3, 7]))
    loss.backward()
    assert_golden(loss.detach(), expected.pop("loss"))
    parameters = dict(model.named_parameters())
    if not stop_grad:
        assert {key.removeprefix("grad_l2/") for key in expected} == set(parameters)
    for key, norm in expected.items():
        gradient = parameters[key.removeprefix("grad_l2/")].grad
        assert gradient is not None
        assert_golden(gradient.norm(), norm)


@torch.no_grad()
def test_masked_patch_embed_matches_golden() -> None:
    expected = golden("fast_masked_patch_embed")
    embed = PatchEmbed(16)
    rule_weights(embed)
    images = randn(2, 3, 64, 64)
    assert_golden(embed(images), expected["unmasked"])
    assert_golden(embed(images, expected["mask_token"], expected["mask"]), expected["masked"])


@torch.no_grad()
@pytest.mark.parametrize("norm", ["end", "trunk_and_end"])
def test_pretraining_matches_golden(norm: str) -> None:
    expected = golden(f"fastmim_recon_tiny_norm_{norm}")
    model = ReferencePretraining(
        embed_dim=64, depths=(1, 1, 2), num_heads=2, img_size=64, fpn_dim=32, fpn_hidden=85, teacher_dim=24, norm=norm
    )
    rule_weights(model)
    model.eval()
    images, masked, target = randn(2, 3, 64, 64), expected["mask"], randn(2, 16, 24, seed=1)
    for kind, hidden in (("unmasked", None), ("masked", masked)):
        for name, level in zip(("p16", "p8", "p4"), model.pyramid(images, hidden), strict=True):
            assert_golden(level, expected[f"{kind}/{name}"])

    merged = []  # what goes into the last norm
    model.norm.register_forward_pre_hook(lambda module, inputs: merged.append(inputs[0]))
    predictions = model(images, masked)
    assert_golden(merged[-1], expected["masked/merged_tokens"])
    assert_golden(predictions, expected["masked/pred_all_tokens"])
    assert_golden(predictions[masked], expected["masked/pred_masked_tokens"])

    assert_golden(target, expected["target"])
    cosine = F.cosine_similarity(predictions, target, dim=-1)
    assert_golden(-cosine[masked].mean(), expected["loss/neg_cosine_masked"])
    assert_golden(-cosine.mean(), expected["loss/neg_cosine_all"])
    assert_golden(F.smooth_l1_loss(predictions, target), expected["loss/smooth_l1_all"])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["cls", "cls_nomeanpool", "pretrain"])
def test_layout_is_the_published_one(size: str, kind: str) -> None:
    layout = json.loads((GOLDEN / "layouts" / f"fast_itpn_{size}_{kind}.json").read_text())
    with torch.device("meta"):
        if kind == "pretrain":
            model: nn.Module = ReferencePretraining(**SIZES[size])
        else:
            model = ReferenceClassifier(mean_pooling=kind == "cls", **SIZES[size])
    assert {name: list(tensor.shape) for name, tensor in model.state_dict().items()} == layout["entries"]
    assert sum(parameter.numel() for parameter in model.parameters()) == layout["n_parameters"]


def coarser_epsilon(model: ReferenceClassifier) -> None:
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-5


def swapped_gates(model: ReferenceClassifier) -> None:
    ffn: Any = model.blocks[-1].mlp
    ffn.w1, ffn.w2 = ffn.w2, ffn.w1


def no_query_bias(model: ReferenceClassifier) -> None:
    attention: Any = model.blocks[-1].attn
    attention.q_bias.data.zero_()


def transposed_positions(model: ReferenceClassifier) -> None:
    model.pos_embed.data = model.pos_embed.data.unflatten(1, (4, 4)).transpose(1, 2).flatten(1, 2)


@torch.no_grad()
@pytest.mark.parametrize("mutate", [coarser_epsilon, swapped_gates, no_query_bias, transposed_positions])
def test_golden_notices_a_wrong_model(mutate: Callable[[ReferenceClassifier], None]) -> None:
    model = classifier("meanpool")
    mutate(model)
    with pytest.raises(AssertionError, match="not close"):
        assert_golden(model(randn(2, 3, 64, 64)), golden("fast_tiny_meanpool")["logits"])


@torch.no_grad()
@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize(
    ("case", "depths", "init_values"),
    [("itpnclip_cls_tiny", (1, 1, 3), 0.1), ("itpnpixel_cls_tiny", (1, 1, 3), 0.0), ("hivit_tiny_cls", (2, 4, 2), 0.0)],
)
def test_the_literal_itpn_gives_the_published_numbers(
    case: str, depths: tuple[int, int, int], init_values: float, relative: bool
) -> None:
    sizes = {"embed_dim": 64, "depths": depths, "num_heads": 2, "img_size": 64, "num_classes": 10}
    model = ReferenceITPN(**sizes, init_values=init_values, relative_position=relative).eval()
    rule_weights(model)
    numbers = load_file(GOLDEN / "itpn" / f"{case}_rpe{relative}.safetensors")
    assert_golden(model.forward_features(randn(2, 3, 64, 64)), numbers["tokens"])
    assert_golden(model(randn(2, 3, 64, 64)), numbers["logits"])
