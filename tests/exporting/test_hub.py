"""The folder for timm and transformers, loaded there."""

import json
import re

import pytest
import timm
import torch
import yaml
from tiny_runs import files
from transformers import AutoBackbone, AutoImageProcessor, AutoModel, AutoModelForImageClassification

import fastitpn
from fastitpn.errors import InputError
from fastitpn.tasks.loading import load_trained


@pytest.fixture(scope="module")
def classifier_folder(classifier_run, scenes, tmp_path_factory):
    out = tmp_path_factory.mktemp("hub") / "flowers"
    return fastitpn.export("hub", classifier_run.directory, acceleration="balanced", data=scenes.val, out=out)


@pytest.fixture(scope="module")
def pyramid_folder(pretrained_run, tmp_path_factory):
    return fastitpn.export("hub", pretrained_run.directory, out=tmp_path_factory.mktemp("hub") / "pyramid")


def snippet(folder) -> dict:
    """The names that the card's own lines leave behind."""
    [block] = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    names: dict = {}
    exec(compile(block.replace("FOLDER", str(folder)), "README.md", "exec"), names)
    return names


@torch.no_grad()
def test_a_classifier_in_timm_and_transformers(classifier_folder, classifier_run):
    assert files(classifier_folder) == ["README.md", "config.json", "fastitpn.json", "model.safetensors"]
    trained = load_trained(classifier_run.directory, "balanced")
    names = snippet(classifier_folder)
    images = torch.randn(2, 3, 64, 64)
    expected = trained.model(images)
    assert names["model"].acceleration == trained.model.acceleration
    assert torch.equal(names["model"](images), expected)
    assert torch.equal(names["classifier"](images).logits, expected)
    assert list(names["classifier"].config.id2label.values()) == list(trained.about.classes)
    assert [level.shape[1] for level in names["backbone"](images).feature_maps] == [48, 96, 192]
    auto = AutoModelForImageClassification.from_pretrained(classifier_folder).eval()
    assert torch.equal(auto(images).logits, expected)


def test_its_input_is_known(classifier_folder):
    model = timm.create_model(f"local-dir:{classifier_folder}", pretrained=True)
    data = timm.data.resolve_model_data_config(model)
    assert (*data["input_size"], data["interpolation"], data["crop_pct"]) == (3, 32, 32, "bicubic", 0.875)
    assert [*AutoImageProcessor.from_pretrained(classifier_folder).data_config["input_size"]] == [3, 32, 32]


@torch.no_grad()
def test_a_pyramid_in_timm_and_transformers(pyramid_folder, pretrained_run):
    ours = fastitpn.create_model("fastitpn_nano", pyramid=True, img_size=32, num_classes=0, global_pool="").eval()
    fastitpn.load_weights(ours, pretrained_run.directory)
    names = snippet(pyramid_folder)
    images = torch.randn(2, 3, 32, 64)
    expected = ours.pyramid_features(images)
    hidden = AutoModel.from_pretrained(pyramid_folder).eval()(images, output_hidden_states=True)
    timm_maps = timm.create_model(f"local-dir:{pyramid_folder}", pretrained=True, features_only=True).eval()(images)
    for found in (
        names["model"].pyramid_features(images),
        names["backbone"](images).feature_maps,
        hidden.hidden_states,
        timm_maps,
    ):
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert torch.equal(hidden.last_hidden_state, ours.forward_features(images))
    assert isinstance(names["backbone"], AutoBackbone.from_config(names["backbone"].config).__class__)


def test_ours_start_from_it(pyramid_folder, scenes):
    model = fastitpn.create_model("fastitpn_nano", pyramid=True, num_classes=3, img_size=32)
    assert fastitpn.load_weights(model, pyramid_folder).ok


def test_the_card_has_measured_figures_and_no_path(classifier_folder, pyramid_folder, classifier_run, tmp_path):
    card = (classifier_folder / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    about = yaml.safe_load(front)
    top1 = fastitpn.evaluate(
        classifier_run.directory,
        classifier_run.config["val"],
        acceleration="balanced",
        device="cpu",
        out=tmp_path / "evaluation",
    ).metrics["top1"]
    assert about["pipeline_tag"] == "image-classification"
    assert about["model-index"][0]["results"][0]["metrics"][0]["value"] == pytest.approx(top1, abs=0.01)
    assert f"| top-1 | {top1:.2f} % | 6 images of val |" in body
    assert "step" in body
    for folder in (classifier_folder, pyramid_folder):
        for name in ("README.md", "config.json"):
            assert not re.search(r"/(tmp|home|root|work)/", (folder / name).read_text())
    assert "| top-1" not in (pyramid_folder / "README.md").read_text()
    config = json.loads((classifier_folder / "config.json").read_text())
    assert config["model_args"]["gathering"]["window"] > 0


WHOLE = ["README.md", "config.json", "fastitpn.json", "head.safetensors", "model.safetensors"]


@torch.no_grad()
@pytest.mark.parametrize("task", ["segment", "detect"])
def test_a_network_with_a_head_is_loaded_as_a_whole(task, segmenter_run, detector_run, request, tmp_path):
    """By this package alone; timm takes its backbone."""
    run, data = {"segment": (segmenter_run, "segment_scenes"), "detect": (detector_run, "detect_scenes")}[task]
    data = request.getfixturevalue(data)
    out = fastitpn.export("hub", run.directory, out=tmp_path / "whole", limit=4)
    assert files(out) == WHOLE
    for name in ("README.md", "config.json", "fastitpn.json"):
        assert not re.search(r"/(tmp|home|root|work)/", (out / name).read_text())
    names = snippet(out)
    picture = next((data).rglob("val/*.jpg"))
    [ours], [theirs] = (fastitpn.load(source, device="cpu")(picture) for source in (run.directory, out))
    assert ours.to_json() == theirs.to_json()
    assert repr(names["predictor"]) == repr(fastitpn.load(run.directory))
    figures = [
        fastitpn.evaluate(source, data, device="cpu", workers=0, out=tmp_path / name).metrics
        for name, source in (("a", run.directory), ("b", out))
    ]
    assert figures[0] == figures[1]
    images = torch.randn(1, 3, 64, 64)
    own = fastitpn.load(run.directory, device="cpu")._model.backbone.pyramid_features(images)
    assert all(torch.equal(a, b) for a, b in zip(names["model"].pyramid_features(images), own, strict=True))
    assert fastitpn.load_weights(names["model"], out).ok


def test_a_classifier_folder_is_loaded_by_ours_too(classifier_folder, classifier_run, scenes):
    pictures = sorted(scenes.val.rglob("*.jpg"))
    loaded = fastitpn.load(classifier_folder, device="cpu")
    expected = fastitpn.load(classifier_run.directory, "balanced", device="cpu")
    assert [one.scores for one in loaded(pictures)] == [one.scores for one in expected(pictures)]


def test_a_folder_that_lacks_a_file_says_so(segmenter_run, tmp_path):
    out = fastitpn.export("hub", segmenter_run.directory, out=tmp_path / "a", limit=4)
    (out / "head.safetensors").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"a file of this model is absent or damaged(.*\n)*.*export it again"):
        fastitpn.load(out)
    (out / "head.safetensors").unlink()
    with pytest.raises(InputError, match="a file of this model is absent or damaged: FileNotFoundError"):
        fastitpn.load(out)


def test_the_pyramid_alone(segmenter_run, tmp_path):
    out = fastitpn.export("hub", segmenter_run.directory, part="pyramid", out=tmp_path / "a")
    assert json.loads((out / "config.json").read_text())["architecture"] == "fastitpn_nano_fpn"
