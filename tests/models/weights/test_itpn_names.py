"""Published iTPN and HiViT: every name and shape, there and back, and which model a file is of."""

from typing import Any

import pytest
import torch
from itpn_family import CLIP, DETECTION, HIVIT, SARATRX, SEGMENTATION, ruled, stored, stored_layout
from published import assert_golden, randn, small_model
from torch import Tensor, nn

from benchmarks.reference import rule_value
from fastitpn.errors import InputError
from fastitpn.models.registry import create_model
from fastitpn.models.weights.file import read_weights
from fastitpn.models.weights.loading import load_weights
from fastitpn.models.weights.official_names import from_official_names, to_official_names
from fastitpn.pretraining.model import create_pretraining_model
from fastitpn.pretraining.pixel_model import create_pixel_model

META: dict[str, Any] = {"device": "meta"}
DENSE: dict[str, Any] = {**META, "num_classes": 0, "global_pool": "", "pyramid": True}
CLIP_TEACHER: dict[str, Any] = {**META, "teacher_dim": 768, "auxiliary_dim": 768}
SIZES = {
    "clip_base_cls": lambda: create_model("itpn_base", **META),
    "clip_large_cls": lambda: create_model("itpn_large", **META),
    "clip_base_pretrain": lambda: create_pretraining_model("itpn_base", **CLIP_TEACHER),
    "clip_large_256_pretrain": lambda: create_pretraining_model("itpn_large", img_size=256, **CLIP_TEACHER),
    "pixel_base_cls": lambda: create_model("itpn_base_pixel", relative_position="own", **META),
    "pixel_large_cls": lambda: create_model("itpn_large_pixel", relative_position="own", **META),
    "pixel_base_pretrain": lambda: create_pixel_model("itpn_base_pixel", **META),
    "pixel_large_pretrain": lambda: create_pixel_model("itpn_large_pixel", **META),
    "det_base": lambda: create_model("itpn_base", relative_position="off", **DENSE),
    "det_large": lambda: create_model("itpn_large", relative_position="decomposed", **DENSE),
    "seg_base": lambda: create_model("itpn_base", img_size=512, position_px=224, pyramid_depth=2, **DENSE),
    "hivit_base_cls": lambda: create_model("hivit_base", **META),
    "hivit_base_cls_norpe": lambda: create_model("hivit_base", relative_position="off", **META),
    "saratrx2_base_pretrain": lambda: create_pixel_model("itpn_base_pixel", out_dim=256, **META),
}


@pytest.mark.parametrize("name", SIZES)
def test_every_published_size_has_the_published_names_shapes_and_count(name: str) -> None:
    model, expected = SIZES[name](), stored_layout(name)
    entries = {key: shape for key, shape in expected["entries"].items() if not key.startswith("hogs.")}
    filters = 6 if name.startswith("saratrx2") else 0  # `hogs.simple_weights`
    assert sum(p.numel() for p in model.parameters()) + filters == expected["n_parameters"]
    official = to_official_names(model.state_dict())
    assert {key: list(tensor.shape) for key, tensor in official.items()} == entries
    ours, origin = from_official_names(official)
    assert {key: tensor.shape for key, tensor in ours.items()} == {
        key.removeprefix("backbone."): tensor.shape for key, tensor in model.state_dict().items()
    }
    assert sorted(key for keys in origin.values() for key in keys) == sorted(
        key for key in official if key != "relative_position_index"
    )


@pytest.mark.parametrize(("size", "millions"), [("tiny", 19.2), ("small", 37.5), ("base", 66.4)])
def test_hivit_has_the_announced_number_of_parameters(size: str, millions: float) -> None:
    count = sum(p.numel() for p in create_model(f"hivit_{size}", **META).parameters())
    assert round(count / 1e6, 1) == millions


def small_models() -> dict[str, nn.Module]:
    trunk = {key: value for key, value in CLIP.items() if key != "num_classes"}
    return {
        "classifier": create_model("itpn_base", **CLIP),
        "pre-training": create_pretraining_model("itpn_base", teacher_dim=24, auxiliary_dim=12, **trunk),
        "pixels": create_pixel_model(decoder_dim=64, decoder_depth=2, decoder_heads=4, **trunk),
        "detection": create_model("itpn_base", relative_position="decomposed", **{**DETECTION, "img_size": 64}),
        "segmentation": create_model("itpn_base", **SEGMENTATION),
        "hivit": create_model("hivit_small", **HIVIT),
    }


@pytest.mark.parametrize("kind", ["classifier", "pre-training", "pixels", "detection", "segmentation", "hivit"])
def test_there_and_back_is_bit_exact(kind: str) -> None:
    model = small_models()[kind]
    state = to_official_names(model.state_dict())
    values = {k: t if k.endswith("_index") else rule_value(k, t.shape) for k, t in state.items()}
    fresh = small_models()[kind]
    report = load_weights(fresh, {"model": values})
    assert report.ok
    assert not report.missing
    back = to_official_names(fresh.state_dict())
    assert list(back) == list(state)
    for name, tensor in values.items():
        assert torch.equal(back[name], tensor), name


def test_the_published_index_of_offsets() -> None:
    index = to_official_names(create_model("itpn_base", **{**CLIP, "img_size": 32}).state_dict())
    assert index["relative_position_index"].tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]


FILES: list[tuple[str, str, dict[str, Any]]] = [
    ("itpn_base", "itpn_base", {"relative_position": "own", "init_values": 0.1}),
    ("itpn_base", "itpn_base", {"relative_position": "off"}),
    ("itpn_base_pixel", "itpn_base_pixel", {"relative_position": "off", "init_values": 0.0}),
    ("hivit_tiny", "hivit_tiny", {"relative_position": "own", "init_values": 0.0, "position_resize": "size"}),
    ("itpn_base", "itpn_base", {"relative_position": "decomposed", "norm_eps": 1e-5}),
    ("itpn_base", "itpn_base", {"relative_position": "own", "position_px": 32, "norm_eps": 1e-5}),
]


@pytest.mark.parametrize(("name", "found_name", "arguments"), FILES)
def test_a_file_says_its_model_and_the_arguments(name: str, found_name: str, arguments: dict[str, Any]) -> None:
    given = {key: value for key, value in arguments.items() if key in ("relative_position", "position_px")}
    size = {} if name.startswith("hivit") else {"depths": (1, 1, 2), "embed_dim": 128, "num_heads": 2}
    model = create_model(name, img_size=64, num_classes=5, **given, **size)
    file = read_weights(to_official_names(model.state_dict()))
    assert file.family == "itpn"
    assert (file.px, file.num_classes, file.depths) == (64, 5, (2, 2, 10) if not size else (1, 1, 2))
    assert arguments.items() <= file.arguments().items()
    if not size:
        assert file.model == found_name
        size = {"embed_dim": 384, "depths": (2, 2, 10)}
    again = create_model(name, num_classes=5, **{**size, **file.arguments()})
    assert load_weights(again, file).ok


def test_a_file_of_one_family_does_not_fit_the_other() -> None:
    hivit = to_official_names(create_model("hivit_tiny", img_size=32, num_classes=0).state_dict())
    with pytest.raises(
        InputError,
        match=r"weights of hivit_tiny .*the model is of another family \(Fast-iTPN\)\n.*\n.*\n.*fix:.*hivit_tiny",
    ):
        load_weights(small_model(), hivit)
    with pytest.raises(
        InputError, match=r"weights of .*\(Fast-iTPN\), the model is of another family \(iTPN or HiViT\)"
    ):
        load_weights(create_model("itpn_base", **CLIP), small_model().state_dict())


def test_layer_scales_and_relative_positions_are_named_when_they_do_not_fit() -> None:
    state = to_official_names(create_model("itpn_base", **CLIP).state_dict())
    with pytest.raises(InputError, match="relative_position='own'"):
        load_weights(create_model("itpn_base", relative_position="off", **CLIP), state)
    with pytest.raises(InputError, match=r"the model needs init_values=0\.1"):
        load_weights(create_model("itpn_base_pixel", relative_position="own", **CLIP), state)
    plain = {name: tensor for name, tensor in state.items() if "relative" not in name}
    with pytest.raises(InputError, match="relative_position='off'"):
        load_weights(create_model("itpn_base", **CLIP), plain)


def test_relative_positions_of_the_pretraining_make_way_for_a_detector_s() -> None:
    state = to_official_names(create_model("itpn_base", **{**CLIP, "num_classes": 0}).state_dict())
    detector = create_model("itpn_base", relative_position="decomposed", **{**CLIP, "num_classes": 0})
    report = load_weights(detector, state)
    assert sum(reason == "relative positions of another kind" for reason in report.set_aside.values()) == 3
    assert len(report.fresh) == 2 * 3


@torch.no_grad()
def test_relative_positions_follow_another_size() -> None:
    model = ruled("itpn_base", **CLIP)
    x = randn(1, 3, 96, 64)
    expected = model(x)
    native = create_model("itpn_base", **{**CLIP, "img_size": (96, 64)}).eval()
    report = load_weights(native, to_official_names(model.state_dict()))
    assert report.resized["stages.2.blocks.0.attn.rel_pos_bias.table"] == "4x4 -> 6x4 (bicubic)"
    assert_golden(native(x), expected)
    model.set_input_size((96, 64))
    assert_golden(model(x), expected)


def test_a_pixel_file_fits_a_detection_backbone() -> None:
    trunk = {key: value for key, value in SARATRX.items() if key not in ("pyramid", "num_classes")}
    pretrained = create_pixel_model(decoder_dim=64, decoder_depth=1, decoder_heads=4, **trunk)
    published: dict[str, Tensor] = {**to_official_names(pretrained.state_dict()), "hogs.simple_weights": torch.ones(6)}
    report = load_weights(create_model("itpn_base_pixel", **SARATRX), {"model": published})
    assert report.ok
    assert report.set_aside["hogs.simple_weights"] == "fixed filters of SARATR-X-v2's targets"
    assert report.set_aside["decoder_pred.weight"] == "used in pre-training only"
    assert stored("saratrx2_itpnpixel_det_tiny_96x96")
