"""Loading: what goes where, what is said about it, and that nothing changes when it fails."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from published import (
    CASES,
    assert_golden,
    classifier,
    golden,
    layout,
    nano,
    pretraining_model,
    randn,
    reference_classifier,
    reference_pretraining,
    small_model,
    small_pretraining_model,
)
from safetensors.torch import save_file
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.layers.position import resize_position_table
from fastitpn.models.registry import create_model
from fastitpn.models.weights.loading import load_weights
from fastitpn.models.weights.official_names import from_official_names, to_official_names
from fastitpn.models.weights.report import LoadReport
from fastitpn.pretraining.model import create_pretraining_model

ALL_887 = "all of the file's 887 tensors (100.0% of its parameters)"
PYRAMID_ASIDE = "44 not needed here: pyramid, which this model is built without (pyramid=True)"


def published_file(size: str, kind: str) -> dict[str, Tensor]:
    """All names and shapes of a published file, without memory."""
    return {name: torch.zeros(()).expand(shape) for name, shape in layout(size, kind)["entries"].items()}


def classifier_file(case: str = "meanpool", **changes: Any) -> dict[str, Tensor]:
    return reference_classifier(case, **changes).state_dict()


def pretraining_file(**changes: Any) -> dict[str, Tensor]:
    return reference_pretraining(**changes).state_dict()


# ------------------------------------------------------------------ the verdict on the published files


@pytest.mark.parametrize(
    ("size", "kind", "arguments", "verdict"),
    [
        (
            "tiny",
            "pretrain",
            {},
            "all 255 tensors of the trunk loaded; the head is new; 279 of the file's 340 tensors (82.8% of its "
            f"parameters); 17 not needed here: used in pre-training only; {PYRAMID_ASIDE}",
        ),
        (
            "base",
            "pretrain",
            {"pyramid": True, "num_classes": 0, "global_pool": ""},
            "all 559 tensors of the trunk and the pyramid loaded; 607 of the file's 624 tensors (96.5% of its "
            "parameters); 17 not needed here: used in pre-training only",
        ),
        (
            "small",
            "pretrain",
            {"fc_norm": False},
            "all 425 tensors of the trunk loaded; the head is new; 465 of the file's 524 tensors (88.9% of its "
            f"parameters); 15 not needed here: used in pre-training only; {PYRAMID_ASIDE}",
        ),
        ("large", "cls", {}, f"all 807 tensors of the trunk and the head loaded; {ALL_887}"),
        ("large", "cls_nomeanpool", {"fc_norm": False}, f"all 807 tensors of the trunk and the head loaded; {ALL_887}"),
        (
            "tiny",
            "cls",
            {"img_size": 384, "num_classes": 10, "in_chans": 6},
            "all 255 tensors of the trunk loaded; the head is new; 281 of the file's 283 tensors (98.4% of its "
            "parameters); 2 not needed here: head of 1000 classes; "
            "patch_embed.proj.weight resized 3 -> 6 channels; pos_embed resized 14x14 -> 24x24 (bicubic)",
        ),
    ],
)
def test_verdict(size: str, kind: str, arguments: dict[str, Any], verdict: str) -> None:
    report = load_weights(create_model(f"fastitpn_{size}", device="meta", **arguments), published_file(size, kind))
    assert str(report) == report.verdict == verdict
    assert report.ok


@pytest.mark.parametrize("size", ["tiny", "small", "base", "large"])
def test_published_pretraining_files_fit_the_pretraining_model(size: str) -> None:
    model = create_pretraining_model(f"fastitpn_{size}", teacher_dim=768, device="meta")
    file = published_file(size, "pretrain")
    report = load_weights(model, file)
    loaded = f"all {len(report.loaded)} tensors of the trunk, the pyramid and the pre-training parts loaded"
    assert report.verdict == f"{loaded}; all of the file's {len(file)} tensors (100.0% of its parameters)"
    assert sorted(report.loaded) == sorted(name for name, _ in model.named_parameters())


def test_every_tensor_and_every_parameter_is_accounted_for() -> None:
    model, file = small_model(num_classes=4, img_size=96), {**pretraining_file(), "surplus": torch.zeros(1)}
    report = load_weights(model, file, strict=False)
    assert sorted(report.loaded + report.missing) == sorted(name for name, _ in model.named_parameters())
    assert report.num_loaded + len(report.set_aside) + len(report.unexpected) + len(report.mismatched) == len(file)
    assert report.num_tensors == len(file)
    assert report.fresh == report.missing == ["fc_norm.weight", "fc_norm.bias", "head.weight", "head.bias"]
    assert report.unexpected == ["surplus"]
    assert report.set_aside["lm_head.weight"] == "used in pre-training only"
    assert report.set_aside["fpn_modules.0.norm2.weight"].startswith("pyramid")
    assert not report.ok
    assert report.verdict.startswith("1 UNEXPECTED: surplus; all ")


# ------------------------------------------------------------------ what arrives in the model


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_published_classifiers_give_the_published_logits(case: str) -> None:
    model = small_model(**CASES[case])
    assert load_weights(model, classifier_file(case)).ok
    assert_golden(model(randn(2, 3, 64, 96 if case == "rect64x96" else 64)), golden(f"fast_tiny_{case}")["logits"])


@torch.no_grad()
@pytest.mark.parametrize("nesting", ["module", "model", None])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
def test_files(nesting: str | None, dtype: torch.dtype, kind: str, tmp_path: Path) -> None:
    file = {name: tensor.to(dtype) for name, tensor in classifier_file().items()}
    model = small_model()
    if kind == "safetensors":
        save_file(file, tmp_path / "x.safetensors")
        load_weights(model, tmp_path / "x.safetensors")
    else:
        content = file if nesting is None else {nesting: file, "optimizer": {"state": {0: torch.zeros(1)}}}
        torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=kind == "zip")
        load_weights(model, str(tmp_path / "x.pt"))
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    expected = classifier("meanpool").to(dtype).float().state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())


@torch.no_grad()
def test_the_pretraining_model_gives_the_published_predictions() -> None:
    model, expected = small_pretraining_model(), golden("fastmim_recon_tiny_norm_end")
    assert load_weights(model, {"module": pretraining_file()}).ok
    assert_golden(model(randn(2, 3, 64, 64), expected["mask"]), expected["masked/pred_all_tokens"])


@torch.no_grad()
def test_trunk_and_pyramid_of_a_pretraining_file_arrive_in_a_detector() -> None:
    model = small_model(pyramid=True, pyramid_dim=32, pyramid_mlp_ratio=85.5 / 32, num_classes=0, global_pool="")
    assert load_weights(model, pretraining_file()).ok
    expected = golden("fastmim_recon_tiny_norm_end")
    for feature_map, name in zip(model.pyramid_features(randn(2, 3, 64, 64)), ("p4", "p8", "p16"), strict=False):
        assert_golden(feature_map, expected[f"unmasked/{name}"])


@torch.no_grad()
def test_our_own_state_dict_and_that_of_a_pretraining_model() -> None:
    source, target = pretraining_model(), small_pretraining_model()
    assert load_weights(target, source.state_dict()).ok
    assert all(torch.equal(target.state_dict()[name], tensor) for name, tensor in source.state_dict().items())
    trunk = small_model(num_classes=0, global_pool="")
    report = load_weights(trunk, source.state_dict())
    assert report.ok
    assert report.set_aside["backbone.pyramid.output4.norm.bias"].startswith("pyramid")
    assert torch.equal(trunk.stages[2].blocks[1].mlp.gate.weight, source.backbone.stages[2].blocks[1].mlp.gate.weight)


@torch.no_grad()
def test_round_trip_through_the_published_names_is_bit_exact() -> None:
    source, target = pretraining_model(), small_pretraining_model()
    load_weights(target, to_official_names(source.state_dict()))
    assert all(torch.equal(target.state_dict()[name], tensor) for name, tensor in source.state_dict().items())


@torch.no_grad()
def test_another_input_size_is_resized_as_published() -> None:
    stored = golden("pos_embed_interp")
    file = classifier_file(img_size=224, embed_dim=8, num_heads=1)
    file["pos_embed"] = stored["src_14x14"]
    model = small_model(embed_dim=8, num_heads=1, img_size=384)
    report = load_weights(model, file)
    assert report.resized == {"pos_embed": "14x14 -> 24x24 (bicubic)"}
    assert_golden(model.pos_embed, stored["finetune_24x24"])
    tracker = small_model(embed_dim=8, num_heads=1, img_size=112, position_resize="align_corners")
    load_weights(tracker, file)
    assert_golden(tracker.pos_embed, stored["sutrack_7x7_align_corners"])
    rectangle = small_model(embed_dim=8, num_heads=1, img_size=(160, 320))
    assert load_weights(rectangle, file).resized == {"pos_embed": "14x14 -> 10x20 (bicubic)"}
    assert_golden(rectangle.pos_embed, resize_position_table(stored["src_14x14"], 14, 14, 10, 20))


@torch.no_grad()
def test_the_class_token_keeps_its_place_when_positions_are_resized() -> None:
    model, file = small_model(class_token=True, img_size=96), classifier_file("clstoken_meanpool")
    load_weights(model, file)
    assert torch.equal(model.pos_embed[:, 0], file["pos_embed"][:, 0])
    assert torch.equal(model.cls_token, file["cls_token"])


@torch.no_grad()
@pytest.mark.parametrize("in_chans", [1, 6])
def test_other_channels(in_chans: int) -> None:
    """As timm does it: a grey image counts as three equal channels, six channels share the weights of three."""
    model = small_model(in_chans=in_chans)
    report = load_weights(model, classifier_file())
    assert report.resized == {"patch_embed.proj.weight": f"3 -> {in_chans} channels"}
    grey = randn(2, 1, 64, 64)
    torch.testing.assert_close(
        model(grey.expand(-1, in_chans, -1, -1)), classifier("meanpool")(grey.expand(-1, 3, -1, -1))
    )


@torch.no_grad()
def test_another_class_count_leaves_the_head_as_it_was() -> None:
    model = small_model(num_classes=5)
    head = model.head.weight.clone()
    report = load_weights(model, classifier_file())
    assert report.set_aside == dict.fromkeys(["head.weight", "head.bias"], "head of 10 classes")
    assert report.fresh == ["head.weight", "head.bias"]
    assert report.ok
    assert torch.equal(model.head.weight, head)
    images = randn(2, 3, 64, 64)
    pooled = model.forward_head(model.forward_features(images), pre_logits=True)
    assert_golden(pooled, golden("fast_tiny_meanpool")["forward_features"])


@torch.no_grad()
@pytest.mark.parametrize(("fpn_hidden", "depth"), [(128, 1), (85, 2), (1024, 2)])
def test_a_pyramid_takes_the_files_hidden_width_and_depth(fpn_hidden: int, depth: int) -> None:
    file = pretraining_file(fpn_hidden=fpn_hidden)
    for level in ("block_16to8", "block_8to4"):
        again = {k.replace(f"{level}.0", f"{level}.{depth - 1}"): 2 * t for k, t in file.items() if k.startswith(level)}
        file = {**again, **file}
    model = small_pretraining_model().bfloat16().requires_grad_(False)
    report = load_weights(model, file)
    assert report.ok
    assert f"pyramid resized to the file's {fpn_hidden} hidden channels" in report.verdict
    assert (f"depth {depth}" in report.verdict) == (depth > 1)
    pyramid = model.backbone.pyramid
    assert pyramid.hidden == fpn_hidden
    assert len(pyramid.refine8) == depth
    assert {p.dtype for p in pyramid.parameters()} == {torch.bfloat16}
    assert not any(p.requires_grad for p in pyramid.parameters())
    expected = file["block_16to8.0.mlp.fc1.weight"].flatten(1).bfloat16()
    assert torch.equal(pyramid.refine8[0].mlp.fc1.weight, expected)
    assert sorted(report.loaded) == sorted(name for name, _ in model.named_parameters())


def test_a_new_pyramid_has_start_values_where_the_file_has_none() -> None:
    file = {name: tensor for name, tensor in pretraining_file(fpn_hidden=128).items() if "split" not in name}
    model = small_pretraining_model()
    report = load_weights(model, file, strict=False)
    assert "backbone.pyramid.up8.weight" in report.missing
    assert all(p.isfinite().all() and p.abs().max() < 10 for p in model.parameters())
    assert model.backbone.pyramid.up8.weight.std() > 0.01


# ------------------------------------------------------------------ what does not fit


def without(file: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    assert any(part in name for name in file)
    return {name: tensor for name, tensor in file.items() if part not in name}


MISFITS = [
    pytest.param(
        lambda: small_model(),
        lambda: classifier_file("nolayerscale"),
        r"4 MISSING: stages\.2\.blocks\.0\.gamma_1.*\n(.*\n)*  expected: layer scales.*init_values=0\)",
        id="no layer scales in the file",
    ),
    pytest.param(
        lambda: small_model(init_values=0.0),
        classifier_file,
        r"4 UNEXPECTED: blocks\.4\.gamma_1.*\n(.*\n)*  expected: .*init_values=0\.1, else they are lost",
        id="layer scales in the file alone",
    ),
    pytest.param(
        lambda: small_model(depths=(1, 1, 3)),
        classifier_file,
        r"these are weights of embed_dim=64, depths=\(1, 1, 2\), the model has embed_dim=64, depths=\(1, 1, 3\)\n",
        id="another depth",
    ),
    pytest.param(
        lambda: create_model("fastitpn_small", device="meta"),
        lambda: published_file("tiny", "cls"),
        r"these are weights of fastitpn_tiny, (.*\n)*  fix: *create_model\('fastitpn_tiny'\)",
        id="another size",
    ),
    pytest.param(
        lambda: small_model(pyramid=True),
        classifier_file,
        r"44 MISSING: pyramid\..* and 41 more; all 69 tensors of the trunk and the head loaded; .*\n"
        r"(.*\n)*  expected: a file with a pyramid.*pyramid=False\)",
        id="no pyramid in the file",
    ),
    pytest.param(
        lambda: small_pretraining_model(),
        classifier_file,
        r"61 MISSING: .*\n(.*\n)*  expected: a file of pre-training; a classifier's has neither",
        id="a classifier's file for pre-training",
    ),
    pytest.param(
        lambda: small_pretraining_model(teacher_dim=8),
        pretraining_file,
        r"2 WRONG SHAPE: lm_head\.weight, lm_head\.bias; .*\n(.*\n)*  expected: teacher_dim=24, as in the file",
        id="another teacher",
    ),
    pytest.param(
        lambda: small_model(pyramid=True, pyramid_dim=48),
        pretraining_file,
        r"WRONG SHAPE: .*\n(.*\n)*  expected: pyramid_dim=32, as in the file",
        id="another pyramid",
    ),
    pytest.param(
        lambda: small_model(),
        lambda: classifier_file("nomeanpool"),
        r"2 MISSING: fc_norm\.weight, fc_norm\.bias; 2 UNEXPECTED: norm\.weight.*\n(.*\n)*.*fc_norm=False\)",
        id="norm before pooling",
    ),
    pytest.param(
        lambda: small_model(fc_norm=False),
        classifier_file,
        r"2 MISSING: norm\.weight, norm\.bias; .*\n(.*\n)*.*fc_norm=True\)",
        id="norm after pooling",
    ),
    pytest.param(
        lambda: small_model(),
        lambda: without(classifier_file(), "blocks.4.mlp.w1"),
        r"2 MISSING: stages\.2\.blocks\.0\.mlp\.gate\.weight, stages\.2\.blocks\.0\.mlp\.gate\.bias; "
        r"all 4 tensors of the head loaded; 63 of 65 tensors of the trunk loaded; ",
        id="a lost layer",
    ),
    pytest.param(
        lambda: small_model(),
        lambda: without(classifier_file(), "fc_norm"),
        r"2 MISSING: fc_norm\.weight, fc_norm\.bias; "
        r"all 65 tensors of the trunk loaded; 2 of 4 tensors of the head loaded; ",
        id="a classifier without its norm",
    ),
    pytest.param(
        lambda: small_model(),
        lambda: {**classifier_file(), "neck.weight": torch.zeros(1)},
        r"1 UNEXPECTED: neck\.weight; .*\n(.*\n)*  fix: .*strict=False",
        id="a surplus layer",
    ),
    pytest.param(
        lambda: small_model(),
        lambda: {**classifier_file(), "blocks.4.norm1.weight": torch.zeros(65)},
        r"1 MISSING: stages\.2\.blocks\.0\.norm1\.weight; 1 WRONG SHAPE: blocks\.4\.norm1\.weight; ",
        id="a wrong shape",
    ),
    pytest.param(
        lambda: small_model(class_token=True),
        classifier_file,
        r"MISSING: cls_token, pos_embed; 1 WRONG SHAPE: pos_embed; ",
        id="no class token in the file",
    ),
]


@pytest.mark.parametrize(("build", "file", "message"), MISFITS)
def test_what_does_not_fit_is_said_and_changes_nothing(build: Any, file: Any, message: str) -> None:
    model = build()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(InputError, match=message) as caught:
        load_weights(model, file())
    assert caught.value.exit_code == 2
    assert "  where:    the given state dict" in str(caught.value)
    after = model.state_dict()
    assert before.keys() == after.keys()
    assert all(tensor.is_meta or torch.equal(after[name], tensor) for name, tensor in before.items())


@torch.no_grad()
def test_without_strict_what_fits_is_taken() -> None:
    model = small_model(pyramid=True)
    before = model.pyramid.up8.weight.clone()
    report = load_weights(model, classifier_file(), strict=False)
    assert isinstance(report, LoadReport)
    assert not report.ok
    assert len(report.missing) == 44
    assert torch.equal(model.pyramid.up8.weight, before)
    assert_golden(model(randn(2, 3, 64, 64)), golden("fast_tiny_meanpool")["logits"])


def test_nothing_is_loaded_into_another_kind_of_model() -> None:
    with pytest.raises(InputError, match="a Linear takes no Fast-iTPN weights"):
        load_weights(nn.Linear(2, 2), classifier_file())
    features = timm.create_model("fastitpn_nano", features_only=True)
    file = nano().state_dict()
    with pytest.raises(InputError, match=r"fix: *load_weights\(model\.model"):
        load_weights(features, file)
    report = load_weights(features.model, file)
    assert set(report.set_aside.values()) == {"classifier, which this model is built without"}


def test_a_pruned_pyramid_takes_what_it_still_has() -> None:
    source = create_pretraining_model("fastitpn_nano", teacher_dim=8)
    features = timm.create_model("fastitpn_nano_fpn", features_only=True, out_indices=(0, 1))
    report = load_weights(features.model, to_official_names(source.state_dict()))
    assert report.ok
    assert "8 not needed here: levels of the pyramid that this model was pruned of" in report.verdict
    assert torch.equal(features.model.pyramid.up4.weight, source.backbone.pyramid.up4.weight)


def test_parameters_stay_the_same_objects() -> None:
    """An optimizer made before loading goes on with the right ones."""
    model = small_model()
    before = dict(model.named_parameters())
    load_weights(model, classifier_file())
    assert all(before[name] is parameter for name, parameter in model.named_parameters())


def test_the_source_is_not_changed() -> None:
    file = classifier_file()
    before = {name: tensor.clone() for name, tensor in file.items()}
    model = small_model()
    load_weights(model, file)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert file.keys() == before.keys()
    assert all(torch.equal(file[name], tensor) for name, tensor in before.items())
    assert from_official_names(file)[0].keys() == model.state_dict().keys()


def test_layers_around_the_backbone_of_another_network_are_set_aside() -> None:
    whole = {f"backbone.{name}": tensor for name, tensor in nano(num_classes=0, global_pool="").state_dict().items()}
    report = load_weights(nano(num_classes=0, global_pool=""), {**whole, "rpn.head.weight": torch.zeros(2, 2)})
    assert report.set_aside == {"rpn.head.weight": "part of another network, which this model is built without"}
    alone = {name.removeprefix("backbone."): tensor for name, tensor in whole.items()}
    with pytest.raises(
        InputError, match=r"1 UNEXPECTED: rpn\.head\.weight"
    ):  # no backbone: it may be meant for this model
        load_weights(nano(num_classes=0, global_pool=""), {**alone, "rpn.head.weight": torch.zeros(2, 2)})


def test_blocks_that_are_not_there_are_told_by_number() -> None:
    state = fastitpn_nano_without_block(3)
    with pytest.raises(InputError, match=r"it does not have block 3 of stage 3; blocks=1-2 takes those before"):
        load_weights(create_model("fastitpn_nano"), state)
    model = create_model("fastitpn_nano", depths=(1, 1, 2))
    assert load_weights(model, state, blocks="1-2").ok


def fastitpn_nano_without_block(number: int) -> dict[str, Tensor]:
    state = create_model("fastitpn_nano").state_dict()
    return {name: tensor for name, tensor in state.items() if not name.startswith(f"stages.2.blocks.{number - 1}.")}


def test_what_was_resized_alike_is_said_once() -> None:
    state = create_model("fastitpn_nano").state_dict()
    report = load_weights(create_model("fastitpn_nano", img_size=96), state)
    alike = {"pos_embed": "4x4 -> 6x6", "a.table": "4x4 -> 6x6", "kernel": "3 -> 6"}
    assert "; pos_embed and 1 more resized 4x4 -> 6x6; kernel resized 3 -> 6" in replace(report, resized=alike).verdict


def test_a_wrong_shape_is_said() -> None:
    state = {**create_model("fastitpn_nano").state_dict(), "pos_embed": torch.zeros(1, 17, 192)}
    with pytest.raises(InputError, match=r"pos_embed has \[1, 17, 192\] in the file, \[1, 16, 192\] in the model"):
        load_weights(create_model("fastitpn_nano"), state)
