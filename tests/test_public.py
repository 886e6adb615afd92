"""The names that users rely on."""

import inspect
import subprocess
import sys

import pytest
import timm
import torch
from tiny_runs import ENVIRONMENT, TRAINING

import fastitpn
from fastitpn.commands.registry import all_verbs

PROMISED = {
    "accelerate",
    "Acceleration",
    "FastITPNError",
    "Gathering",
    "InputError",
    "LoadReport",
    "Migration",
    "Predictor",
    "Run",
    "Taps",
    "DetectPredictor",
    "SegmentPredictor",
    "add_experts",
    "cache_features",
    "app",
    "benchmark",
    "convert_data",
    "create_model",
    "create_pixel_model",
    "create_pretraining_model",
    "demo",
    "doctor",
    "evaluate",
    "export",
    "finetune",
    "foreground_shares",
    "gather_tokens",
    "inspect",
    "load",
    "load_weights",
    "predict",
    "pretrain",
    "read_weights",
    "recipes",
    "report",
    "scatter_tokens",
    "shard_data",
    "to_official_names",
    "visualize",
    "weights",
}


def test_every_promised_name_is_there():
    assert set(fastitpn.__all__) == PROMISED
    assert set(dir(fastitpn)) >= PROMISED
    for name in PROMISED:
        value = getattr(fastitpn, name)
        assert value.__doc__, name
        assert value.__module__.startswith("fastitpn."), name


def test_other_names_are_not():
    with pytest.raises(AttributeError, match="module 'fastitpn' has no attribute 'train'"):
        _ = fastitpn.train  # type: ignore[attr-defined]


def test_every_verb_of_the_command_line_is_a_function():
    names = {verb.words[0] for verb in all_verbs()} - {
        "completion",  # for shells alone
        "data",  # a package: its verbs are `shard_data` and `convert_data`
    }
    assert names <= PROMISED


def test_every_function_says_what_it_takes():
    for name in PROMISED:
        value = getattr(fastitpn, name)
        if inspect.isfunction(value):
            for parameter in inspect.signature(value).parameters.values():
                assert parameter.annotation is not inspect.Parameter.empty, f"{name}({parameter.name})"
                assert f"{parameter.name}" in (value.__doc__ or "") or name == "demo", f"{name}({parameter.name})"


def test_importing_it_registers_with_timm_and_is_light():
    lines = (
        "import sys, fastitpn, timm;"
        "names = timm.list_models('fastitpn_*');"
        "assert len(names) == 10, names;"
        "heavy = [m for m in ('lightning_fabric', 'matplotlib', 'rich', 'jinja2', 'transformers') if m in sys.modules];"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", lines], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "millions", "px"),
    [
        ("nano", 3.263128, 64),
        ("tiny", 24.219976, 224),
        ("small", 39.90292, 224),
        ("base", 84.825192, 224),
        ("large", 312.063400, 256),
    ],
)
def test_sizes_by_their_name_in_timm(name, millions, px):
    model = timm.create_model(f"fastitpn_{name}", device="meta")
    count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert count == pytest.approx(millions, rel=1e-6)
    assert model.default_cfg["input_size"] == (3, px, px)


def test_features_as_promised():
    model = fastitpn.create_model("fastitpn_nano", pyramid=True).eval()
    images = torch.zeros(1, 3, 64, 96)
    with torch.no_grad():
        assert model.forward_features(images).shape == (1, 4, 6, 192)
        maps = model.pyramid_features(images)
    assert [tuple(level.shape[2:]) for level in maps] == [(16, 24), (8, 12), (4, 6), (2, 3), (1, 2)]


def test_the_way_from_images_to_a_prediction(scenes, tmp_path):
    """All verbs, one after the other, as in the README."""
    pretrained = fastitpn.pretrain(data=scenes.unlabelled, out=tmp_path / "pretrain", **TRAINING)
    keys = {"data": scenes.train, "val": scenes.val, "out": tmp_path / "classify"}
    run = fastitpn.finetune("classify", weights=pretrained.directory, **keys, **TRAINING)
    assert isinstance(run, fastitpn.Run)
    evaluation = fastitpn.evaluate(run.directory, scenes.val, out=tmp_path / "evaluate", device="cpu")
    assert evaluation.metrics["top1"] == pytest.approx(run.metrics["best_top1"])
    predictor = fastitpn.load(run.best_checkpoint, device="cpu")
    assert isinstance(predictor, fastitpn.Predictor)
    [prediction] = predictor(next(scenes.val.rglob("*.jpg")))
    assert prediction.label in evaluation.classes
    assert prediction.draw().width > 0
    assert prediction.to_json()["labels"][0] == prediction.label
    seen = fastitpn.inspect(run.directory)
    assert (seen.task, seen.model, seen.classes) == ("classify", "fastitpn_nano", tuple(evaluation.classes))
    again = fastitpn.Run(run.directory)
    assert (again.metrics, again.best_checkpoint, again.complete) == (run.metrics, run.best_checkpoint, True)
