"""iTPN and HiViT: the published numbers, names and counts."""

import copy
from typing import Any

import pytest
import torch
from itpn_family import CLIP, DETECTION, HIVIT, PIXEL, SARATRX, SEGMENTATION, ruled, stored
from published import assert_golden, randn
from torch import Tensor

from fastitpn import Gathering, InputError, Migration
from fastitpn.models.acceleration.token_trace import patches_before
from fastitpn.models.backbone import FastITPN
from fastitpn.models.registry import create_model
from fastitpn.models.taps import Taps

CLASSIFIERS = [
    ("itpnclip_cls_tiny_rpeTrue", "itpn_base", CLIP),
    ("itpnclip_cls_tiny_rpeFalse", "itpn_base", {**CLIP, "relative_position": "off"}),
    ("itpnpixel_cls_tiny_rpeTrue", "itpn_base_pixel", {**PIXEL, "relative_position": "own"}),
    ("itpnpixel_cls_tiny_rpeFalse", "itpn_base_pixel", PIXEL),
    ("hivit_tiny_cls_rpeTrue", "hivit_base", HIVIT),
    ("hivit_tiny_cls_rpeFalse", "hivit_base", {**HIVIT, "relative_position": "off"}),
]


@torch.no_grad()
@pytest.mark.parametrize(("case", "name", "arguments"), CLASSIFIERS, ids=[case for case, *_ in CLASSIFIERS])
def test_classifiers_give_the_published_numbers(case: str, name: str, arguments: dict[str, Any]) -> None:
    model, numbers = ruled(name, **arguments), stored(case)
    x = randn(2, 3, 64, 64)
    assert_golden(model.forward_features(x), numbers["tokens"])
    assert_golden(model(x), numbers["logits"])


@torch.no_grad()
def test_another_size_resizes_the_positions_as_published() -> None:
    numbers = stored("itpnclip_cls_tiny_interp96")
    model = ruled("itpn_base", **{**CLIP, "relative_position": "off"})
    assert_golden(model(randn(2, 3, 96, 96)), numbers["logits"])
    model.set_input_size(96)
    assert_golden(model.pos_embed, numbers["pos_embed_6x6"])
    assert_golden(model(randn(2, 3, 96, 96)), numbers["logits"])
    pixel = ruled("itpn_base_pixel", **PIXEL)
    assert_golden(pixel(randn(1, 3, 96, 96)), stored("itpnpixel_cls_tiny_rpeFalse")["logits_96x96"])


def sliced(level: Tensor) -> Tensor:
    """The part of a level that is stored for large images."""
    return level[:, ::4, :: max(1, level.shape[2] // 8), :: max(1, level.shape[3] // 8)]


@torch.no_grad()
@pytest.mark.parametrize(
    ("decomposed", "height", "width"),
    [(False, 64, 96), (False, 224, 224), (False, 256, 320), (True, 224, 224), (True, 256, 320)],
)
def test_detection_backbones_give_the_published_levels(decomposed: bool, height: int, width: int) -> None:
    kind = "decomposed" if decomposed else "off"
    model = ruled("itpn_base", **DETECTION, relative_position=kind)
    numbers = stored(f"det_itpnclip_tiny_rpe{decomposed}_{height}x{width}")
    levels = model.pyramid_features(randn(1, 3, height, width))
    for i, level in enumerate(levels):
        assert_golden(level if height == 64 else sliced(level), numbers[f"out{i}_stride{4 * 2**i}"])


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(64, 96), (96, 96)])
def test_detection_on_a_pixel_model_gives_the_published_levels(height: int, width: int) -> None:
    model, numbers = ruled("itpn_base_pixel", **SARATRX), stored(f"saratrx2_itpnpixel_det_tiny_{height}x{width}")
    for i, level in enumerate(model.pyramid_features(randn(1, 3, height, width))):
        assert_golden(level, numbers[f"level{i}"])


@torch.no_grad()
def test_segmentation_backbones_give_the_published_levels() -> None:
    model, numbers = ruled("itpn_base", **SEGMENTATION), stored("seg_itpn_tiny")
    levels = model.pyramid_features(randn(2, 3, 64, 64))
    for level, channels in zip(levels, model.feature_info, strict=True):
        assert level.shape[1] == channels["num_chs"]
    for i, level in enumerate(levels[:4]):
        assert_golden(level, numbers[f"out{i}_stride{4 * 2**i}"])


def accelerated(**acceleration: Any) -> tuple[FastITPN, FastITPN]:
    """A model with relative positions at 96 px, and the same one accelerated."""
    plain = ruled("itpn_base", **CLIP)
    fast = copy.deepcopy(plain)
    fast.set_acceleration(**acceleration)
    return plain, fast


@torch.no_grad()
def test_tokens_that_all_stay_keep_their_relative_positions() -> None:
    x = randn(2, 3, 96, 64)
    for keys in (
        {"migration": Migration(after_blocks=(1,), keep_ratio=1.0)},
        {"gathering": Gathering(window=4, global_blocks=3, tokens_per_window=0)},
    ):
        plain, fast = accelerated(**keys)
        torch.testing.assert_close(fast(x), plain(x))


@torch.no_grad()
def test_tokens_that_moved_have_the_relative_positions_of_their_places() -> None:
    """Those that stay are given the bias for the offsets of their places, as the complete table has it."""
    _, fast = accelerated(migration=Migration(after_blocks=(1,), keep_ratio=0.5, weighted=False))
    features = fast.encode(randn(2, 3, 96, 64), taps=Taps(attention=(3,)))
    bias = fast.stages[2].blocks[2].attn.rel_pos_bias
    whole = bias(torch.empty(0), 6, 4)[0]
    seen = features.attention[3]
    for image, places in enumerate(patches_before(features, 3)[:, 0]):
        expected = whole[:, places[:, None], places[None]]
        torch.testing.assert_close(seen.mask[image], expected)


@torch.no_grad()
def test_gathering_tokens_have_no_relative_positions() -> None:
    _, fast = accelerated(gathering=Gathering(window=3, global_blocks=0))
    features = fast.encode(randn(1, 3, 96, 64), taps=Taps(attention=(2,)))
    mask = features.attention[2].mask  # [4 windows, heads, 1 + 6, 1 + 6]
    whole = fast.stages[2].blocks[1].attn.rel_pos_bias(torch.empty(0), 6, 4)[0]
    places = patches_before(features, 2)[0]
    assert mask.shape == (4, 2, 7, 7)
    assert not mask[:, :, 0].any()
    assert not mask[:, :, :, 0].any()
    for window in range(4):
        torch.testing.assert_close(mask[window, :, 1:, 1:], whole[:, places[window][:, None], places[window][None]])


@torch.no_grad()
@pytest.mark.parametrize("kind", ["own", "decomposed"])
def test_the_attention_trace_sees_relative_positions(kind: str) -> None:
    model = ruled("itpn_base", **CLIP, relative_position=kind)
    image = randn(1, 3, 64, 64)
    shares = model.trace_attention(image, 5, [2]).shares[2]
    features = model.encode(image, taps=Taps(attention=(2,)))
    block = model.stages[2].blocks[1]
    q, k, _ = block.attn.project(block.norm1(features.attention[2].tokens))
    logits = q @ k.mT * q.shape[-1] ** -0.5 + block.attn.rel_pos_bias(q, 4, 4)
    torch.testing.assert_close(shares, logits.softmax(-1)[0, :, 5])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="cannot be accelerated"):
        ruled("itpn_base", **CLIP, relative_position="decomposed").set_acceleration("fast")
    for wrong, message in (
        ({"family": "swin"}, "expected: .*fastitpn, itpn"),
        ({"relative_position": "shared"}, "one of own, decomposed"),
        ({"relative_position": "own", "class_token": True}, "class_token=False"),
        ({"position_px": 40}, "a multiple of 16"),
        ({"pyramid": True, "pyramid_pool": "mean"}, "one of subsample, average, max"),
    ):
        with pytest.raises(InputError, match=message):
            create_model("itpn_base", **{**CLIP, **wrong})


@torch.no_grad()
def test_a_scripted_model_gives_the_same_at_another_size() -> None:
    model, x = ruled("itpn_base", **CLIP), randn(1, 3, 96, 64)
    torch.testing.assert_close(torch.jit.script(model)(x), model(x))


def test_gradients_reach_all_parameters_with_and_without_activation_checkpointing() -> None:
    gradients = []
    for enabled in (False, True):
        model = ruled("itpn_base", **CLIP, pyramid=True, pyramid_dim=16)
        model.set_grad_checkpointing(enabled)
        x = randn(2, 3, 64, 96)
        (sum(level.square().mean() for level in model.pyramid_features(x)) + model(x).square().mean()).backward()
        gradients.append({name: parameter.grad for name, parameter in model.named_parameters()})
    assert all(gradient is not None and gradient.any() for gradient in gradients[0].values())
    torch.testing.assert_close(gradients[1], gradients[0])
