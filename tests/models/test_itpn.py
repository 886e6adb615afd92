"""iTPN and HiViT: the published numbers, names and counts."""

from typing import Any

import pytest
import torch
from itpn_family import CLIP, DETECTION, HIVIT, PIXEL, SARATRX, SEGMENTATION, ruled, stored
from published import assert_golden, randn
from torch import Tensor

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
