"""The verb, from its keys to its files."""

import json
import shlex
from pathlib import Path

import pytest
from tiny_runs import TRAINING, files, words

import fastitpn
from fastitpn.benchmarking import benchmark as verb
from fastitpn.benchmarking import matmul_peak
from fastitpn.benchmarking.conditions import Conditions
from fastitpn.benchmarking.config import BenchmarkConfig
from fastitpn.benchmarking.memory import MemoryMeter
from fastitpn.benchmarking.result import Benchmark
from fastitpn.cli.main import main
from fastitpn.config import build, parse
from fastitpn.errors import InputError
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.acceleration.settings import PRESETS, Acceleration
from fastitpn.runs.checkpoint import load_checkpoint, save_checkpoint

KEYS = {"device": "cpu", "workers": 0, "rounds": 1, "threads": 1}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(matmul_peak, "CPU_SIZES", ((64, 64, 64),))


@pytest.fixture
def no_process(monkeypatch):
    """Memory is not measured."""
    monkeypatch.setattr(verb, "MemoryMeter", lambda conditions: MemoryMeter(Conditions(device="mps")))


def candidates(**keys):
    return verb.find_candidates(build(BenchmarkConfig, keys))


def test_what_is_written_and_printed(no_process, tmp_path, capsys):
    keys = {
        "model": "fastitpn_nano",
        "px": (64, 96),
        "batch": 1,
        "acceleration": "fast",
        "peers": "test_vit,eva02_tiny_patch14_224",
    }
    result = fastitpn.benchmark(out=tmp_path / "out", **keys, **KEYS)
    assert isinstance(result, Benchmark)
    assert files(tmp_path / "out") == ["benchmark.json", "plot.png", "report.html"]
    stored = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert stored == json.loads(json.dumps(result.to_json()))
    assert [(case["px"], case["batch"]) for case in stored["cases"]] == [(64, 1), (96, 1)]
    assert [row["acceleration"] for row in stored["rows"]] == 2 * ["off", "fast", None, None]
    assert stored["conditions"]["threads"] == 1
    assert {"date", "torch", "timm", "fastitpn", "processor"} <= set(stored["environment"])
    said = capsys.readouterr().out
    for part in (
        "64 px, batch 1",
        "96 px, batch 1",
        "fastitpn_nano fast",
        "test_vit",
        "eva02_tiny_patch14_224 did not run: 64 px",
    ):
        assert part in said
    page = (tmp_path / "out" / "report.html").read_text()
    for part in ("Speed", "96 px, batch 1", "Accelerations", "of the tokens stay", "How it was measured"):
        assert part in page
    again = parse(BenchmarkConfig, shlex.split(stored["command"])[2:])
    assert (again.px, again.peers, again.rounds) == ((64, 96), ("test_vit", "eva02_tiny_patch14_224"), 1)


def test_with_images_the_quality_of_each(no_process, scenes, classifier_run, tmp_path, capsys):
    arguments = {"checkpoint": classifier_run.directory, "data": scenes.val, "out": tmp_path / "out"}
    assert main(["benchmark", *words(acceleration="fast", peers="test_vit", **arguments, **KEYS)]) == 0
    rows = json.loads((tmp_path / "out" / "benchmark.json").read_text())["rows"]
    assert [(row["model"], row["px"]) for row in rows] == [
        ("fastitpn_nano", 32),
        ("fastitpn_nano", 32),
        ("test_vit", 32),
    ]
    evaluation = fastitpn.evaluate(
        classifier_run.directory, scenes.val, out=tmp_path / "evaluate", device="cpu", acceleration="fast"
    )
    assert rows[1]["top1"] == pytest.approx(evaluation.metrics["top1"], abs=1e-4)
    assert rows[2]["top1"] is None
    assert "top-1 %" in capsys.readouterr().out
    assert "Quality against speed" in (tmp_path / "out" / "report.html").read_text()


def test_with_its_pyramid(no_process, tmp_path):
    plain, _ = fastitpn.benchmark(model="fastitpn_nano", acceleration="fast", out=tmp_path / "a", **KEYS).rows
    with_pyramid, _ = fastitpn.benchmark(
        model="fastitpn_nano", acceleration="fast", pyramid=True, out=tmp_path / "b", **KEYS
    ).rows
    assert with_pyramid.gflops > 1.1 * plain.gflops


class TestCandidates:
    """What a configuration stands for."""

    def test_the_plain_model_is_always_there_and_first(self):
        found, px = candidates(model="fastitpn_small", acceleration=["fast", "off"], peers=["test_vit", "test_vit"])
        assert [(c.model, c.acceleration_name) for c in found] == [
            ("fastitpn_small", "off"),
            ("fastitpn_small", "fast"),
            ("test_vit", None),
        ]
        assert px == (224,)
        assert [c.acceleration_name for c in candidates()[0]] == list(PRESETS)
        assert candidates()[0][0].model == "fastitpn_tiny"
        assert candidates(px=[64, 96, 64])[1] == (64, 96)

    def test_the_form_of_weights_is_kept(self, classifier_run, pretrained_run):
        found, px = candidates(checkpoint=classifier_run.directory)
        assert (found[0].model, px, found[0].arguments["num_classes"]) == ("fastitpn_nano", (32,), 3)
        assert found[0].build(64).num_classes == 3
        found, _ = candidates(weights=pretrained_run.directory, pyramid=True)
        assert found[0].build(64).pyramid is not None
        assert candidates(weights=pretrained_run.directory)[0][0].build(64).pyramid is None

    def test_an_acceleration_of_its_own_is_measured_too(self, classifier_run, tmp_path):
        own = Acceleration(name="mine", migration=Migration(keep_ratio=0.8))
        content = load_checkpoint(classifier_run.best_checkpoint)
        save_checkpoint(tmp_path / "own.ckpt", {**content, "acceleration": own.to_dict()})
        found, _ = candidates(checkpoint=tmp_path / "own.ckpt")
        assert [c.acceleration_name for c in found] == ["off", "mine", "balanced", "fast"]
        assert found[1].acceleration == own


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"px": "224,50"},
            "px: expected values separated by commas, each a whole number of at least 32, a multiple of 16",
        ),
        ({"batch": "1,0"}, "batch: expected values separated by commas, each a whole number of at least 1"),
        (
            {"acceleration": "fsat"},
            "acceleration: expected all or values separated by commas, each one of off, balanced",
        ),
        ({"peers": "vit_base_patch16_244"}, "peers=vit_base_patch16_224"),
        ({"model": "fastitpn_bas"}, "model=fastitpn_base"),
        (
            {"model": "fastitpn_nano", "data": "x"},
            "data: expected together with checkpoint=RUN of a trained model",
        ),
        ({"checkpoint": "nowhere"}, "nowhere"),
        (
            {"checkpoint": "a", "model": "fastitpn_tiny"},
            "checkpoint: expected only one of checkpoint and model, got both",
        ),
        ({"rounds": 3, "seconds": 2}, "rounds: expected only one of rounds and seconds"),
        ({"precision": "16-mixed", "device": "cpu"}, "the CPU has no 16-mixed precision"),
    ],
)
def test_bad_input_is_one_message(capsys, tmp_path, monkeypatch, keys, message):
    monkeypatch.chdir(tmp_path)
    assert main(["benchmark", *words(**keys)]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert files(tmp_path) == []


def test_a_segmentation_network_with_its_head(segment_scenes, segmenter_run, no_process, tmp_path, capsys):
    """Its rows are of the whole network: more operations than its pyramid has, and a mean IoU."""
    keys = {"checkpoint": segmenter_run.directory, "acceleration": "fast", "px": 32, **KEYS}
    result = fastitpn.benchmark(data=segment_scenes, out=tmp_path / "out", **keys)
    pyramid = fastitpn.benchmark(pyramid=True, out=tmp_path / "pyramid", **keys)
    evaluation = fastitpn.evaluate(
        segmenter_run.directory, segment_scenes, px=32, device="cpu", workers=0, out=tmp_path / "evaluated"
    )
    assert [row.acceleration for row in result.rows] == ["off", "fast"]
    assert result.rows[0].metrics == evaluation.metrics
    assert all(own.gflops > other.gflops for own, other in zip(result.rows, pyramid.rows, strict=True))
    assert pyramid.rows[0].metrics == {}
    assert "mIoU %" in capsys.readouterr().out
    assert "mIoU %" in (tmp_path / "out" / "report.html").read_text()


def test_images_without_a_classifier(scenes, pretrained_run, tmp_path, capsys):
    keys = {"checkpoint": pretrained_run.directory, "data": scenes.val, "out": tmp_path / "out"}
    assert main(["benchmark", *words(**keys)]) == 2
    assert "a checkpoint of the task 'pretrain' has nothing to evaluate" in capsys.readouterr().err
    assert not Path(tmp_path / "out").exists()


def test_the_report_of_a_run_is_not_replaced(classifier_run):
    with pytest.raises(InputError, match="out is the directory of a run") as caught:
        fastitpn.benchmark(model=TRAINING["model"], out=classifier_run.directory)
    assert caught.value.fix == f"out={classifier_run.directory / 'benchmark'}"
