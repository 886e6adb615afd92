"""One folder and one line: a task, a head, a detector, a teacher, a label and an export format of the tests' own.

What is registered here lies in `tests/extending`, and the documentation shows it: `docs/how_to/extend.md`.
"""

import csv
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from documented import measure_little
from PIL import Image
from tiny_runs import TRAINING

import fastitpn
from fastitpn.cli.main import main
from fastitpn.data.detection.formats.registry import FORMATS as LABEL_FORMATS
from fastitpn.errors import InputError
from fastitpn.exporting.formats.registry import FORMATS as EXPORT_FORMATS
from fastitpn.models.acceleration.criteria.registry import CRITERIA
from fastitpn.pretraining.teachers.registry import TEACHERS
from fastitpn.registry import Registry
from fastitpn.tasks.detect.heads.registry import DETECTORS
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.segment.heads.registry import HEADS

pytestmark = pytest.mark.drawn

USE = {"device": "cpu", "workers": 0}


@contextmanager
def registered(registry: Registry[Any], name: str, member: Any) -> Iterator[None]:
    registry.register(name, member)
    try:
        yield
    finally:
        registry.unregister(name)


@pytest.fixture(scope="module")
def rooms(tmp_path_factory) -> Path:
    """Pictures that are the brighter the nearer what they show is."""
    folder = tmp_path_factory.mktemp("rooms")
    rows = [("image", "metres")]
    for number in range(16):
        pixels = np.random.default_rng(number).integers(0, 30, (40, 48, 3)) + 12 * number
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
        rows.append((f"{number}.png", f"{10 - 0.6 * number:.1f}"))
    with open(folder / "depths.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def depth() -> Iterator[None]:
    with registered(TASKS, "depth", "extending.depth"):
        yield


@pytest.fixture(scope="module")
def depth_run(depth, rooms, tmp_path_factory) -> "fastitpn.Run":
    out = tmp_path_factory.mktemp("depth") / "run"
    keys = {**TRAINING, "steps": 6, "lr": 1e-2, "eval_every_epochs": 0.1, "scratch": True}
    return fastitpn.finetune("depth", data=rooms, out=out, **keys)


class TestTask:
    """A task with a metric of which less is better."""

    def test_it_is_a_verb_whose_help_lists_its_keys(self, depth, capsys):
        assert main(["finetune", "depth", "--help"]) == 0
        shown = capsys.readouterr().out
        assert "farthest_m" in shown
        assert "Train a network that says how far away" in shown
        assert main(["finetune", "--help"]) == 0
        assert "finetune depth" in capsys.readouterr().out
        assert main(["predict", "--help"]) == 0
        assert "decimals" in capsys.readouterr().out
        assert main(["finetune", "depht", "data=x"]) == 2
        assert "fix:      fastitpn finetune depth" in capsys.readouterr().err

    def test_the_best_checkpoint_is_the_lowest(self, depth_run):
        errors = {row["step"]: row["error_m"] for row in depth_run.history if row["split"] == "val"}
        assert len(set(errors.values())) > 2
        best = min(errors.values())
        assert depth_run.metrics["best_error_m"] == best
        assert errors[depth_run.metrics["best_step"]] == best
        saved = torch.load(depth_run.best_checkpoint, weights_only=True)
        assert (saved["task"], saved["metrics"]["error_m"], saved["step"]) == (
            "depth",
            best,
            depth_run.metrics["best_step"],
        )
        assert best < errors[max(errors)] or depth_run.metrics["best_step"] == max(errors)

    def test_the_log_and_the_report_show_its_unit(self, depth_run):
        log = (depth_run.directory / "log.txt").read_text()
        assert f"error_m {depth_run.history[-1]['error_m']:.4g} m" in log
        page = (depth_run.directory / "report.html").read_text()
        for part in ("<title>Depth", "Mean error", "<svg", "farthest_m: 10.0"):
            assert part in page

    def test_evaluate(self, depth_run, rooms, tmp_path, capsys):
        evaluation = fastitpn.evaluate(depth_run.directory, rooms, out=tmp_path / "e", **USE)
        assert set(evaluation.metrics) == {"error_m"}
        assert f"{evaluation.metrics['error_m']:.4g} m" in capsys.readouterr().out
        assert json.loads((tmp_path / "e" / "evaluation.json").read_text())["num_images"] == 16
        assert "Mean error" in (tmp_path / "e" / "report.html").read_text()
        with pytest.raises(InputError, match="flip: not used for a checkpoint of the task 'depth'"):
            fastitpn.evaluate(depth_run.directory, rooms, flip=True, out=tmp_path / "f", **USE)

    def test_predict_and_load(self, depth_run, rooms, tmp_path):
        depths = fastitpn.predict(depth_run.directory, rooms, decimals=1, out=tmp_path / "p", **USE)
        assert len(depths) == 16
        rows = [json.loads(line) for line in (tmp_path / "p" / "predictions.jsonl").read_text().splitlines()]
        assert [row["metres"] for row in rows] == [depth.metres for depth in depths]
        assert all(round(row["metres"], 1) == row["metres"] for row in rows)
        assert (tmp_path / "p" / "contact_sheet.png").is_file()
        [one] = fastitpn.load(depth_run.directory, device="cpu")(rooms / "3.png")
        assert one.metres == pytest.approx(next(d.metres for d in depths if d.path == rooms / "3.png"), abs=0.06)

    def test_export_compares_and_measures(self, depth_run, rooms, tmp_path):
        out = fastitpn.export("onnx", depth_run.directory, data=rooms, dynamic="off", batch=2, out=tmp_path / "x")
        about = json.loads((out / "model.json").read_text())
        assert (about["task"], about["outputs"]) == ("depth", ["metres"])
        assert about["quality"]["metric"] == "error_m"
        assert about["quality"]["file"] == pytest.approx(about["quality"]["model"], abs=1e-3)
        with pytest.raises(InputError, match="exported folders of the task 'depth' cannot be run by fastitpn"):
            fastitpn.load(out)  # its TaskSpec has no `exported`

    def test_doctor_inspect_and_comparison(self, depth_run, rooms, tmp_path):
        assert fastitpn.doctor(rooms, similar=None, out=tmp_path / "d").form == "depths"
        assert fastitpn.doctor(rooms, task="depth", similar=None, out=tmp_path / "d").form == "depths"
        assert "task depth" in fastitpn.inspect(depth_run.directory).what
        other = shutil.copytree(depth_run.directory, tmp_path / "other")
        page = fastitpn.report("compare", depth_run.directory, other, out=tmp_path / "c").read_text()
        assert "Best mean error" in page

    def test_benchmark_measures_it(self, depth_run, rooms, tmp_path, monkeypatch):
        measure_little(monkeypatch)
        keys = {"data": rooms, "rounds": 1, "acceleration": ("off",), "out": tmp_path / "b", **USE}
        benchmark = fastitpn.benchmark(checkpoint=depth_run.directory, **keys)
        assert benchmark.metric.name == "error_m"
        assert benchmark.rows[0].metrics["error_m"] > 0

    def test_accelerate_knows_that_less_is_better(self, depth_run, rooms, tmp_path, monkeypatch):
        measure_little(monkeypatch)
        keys = {"px": 64, "minutes": 0.5, "max_loss": 100, "out": tmp_path / "a", **USE}
        tuned = fastitpn.accelerate(depth_run.directory, rooms, **keys)
        plain = fastitpn.evaluate(depth_run.directory, rooms, px=64, acceleration="off", out=tmp_path / "e", **USE)
        loss = tuned.chosen.loss
        assert loss.low is None  # its evaluation does not say what single images contribute
        assert loss.images == 16
        assert loss.points == pytest.approx(loss.value - plain.metrics["error_m"], abs=1e-4)
        assert fastitpn.load(tuned.out, device="cpu")(rooms / "3.png")[0].metres > 0

    def test_it_resumes(self, depth_run, rooms, tmp_path):
        keys = {**TRAINING, "steps": 6, "lr": 1e-2, "eval_every_epochs": 0.1, "scratch": True, "checkpoint_every": 2}
        run = fastitpn.finetune("depth", data=rooms, out=tmp_path / "run", **keys)
        folder = run.directory / "checkpoints"
        (run.directory / "result.json").unlink()
        (folder / "previous.ckpt").replace(folder / "last.ckpt")
        again = fastitpn.finetune("depth", data=rooms, out=tmp_path / "run", **keys)
        one, other = (torch.load(r.last_checkpoint, weights_only=True)["weights"] for r in (again, depth_run))
        assert all(torch.equal(one[name], other[name]) for name in other)


def test_a_checkpoint_of_a_task_that_is_not_there(depth_run, rooms, tmp_path):
    with registered(TASKS, "depth", "extending.depth"):
        pass  # the inner one takes the name away
    try:
        for use in (
            lambda: fastitpn.evaluate(depth_run.directory, rooms, out=tmp_path / "e"),
            lambda: fastitpn.predict(depth_run.directory, rooms, out=tmp_path / "p"),
            lambda: fastitpn.load(depth_run.directory),
            lambda: fastitpn.export("onnx", depth_run.directory, out=tmp_path / "x"),
        ):
            with pytest.raises(
                InputError, match="of the task 'depth', which this installation does not have"
            ) as caught:
                use()
            assert caught.value.expected == "one of the tasks classify, segment, detect, pretrain"
    finally:
        TASKS.register("depth", "extending.depth")


def test_a_segmentation_head(segment_scenes, tmp_path, capsys):
    from extending.head import HEAD

    keys = {**TRAINING, "data": segment_scenes, "out": tmp_path / "run", "scratch": True, "lr": 1e-2}
    with registered(HEADS, "convolution", HEAD):
        run = fastitpn.finetune("segment", head={"name": "convolution", "width": 8}, **keys)
        assert {"miou", "best_miou"} <= set(run.metrics)
        evaluation = fastitpn.evaluate(run.directory, segment_scenes, out=tmp_path / "e", **USE)
        assert evaluation.metrics["miou"] == pytest.approx(run.metrics["best_miou"])
        images = segment_scenes / "images" / "val"
        assert len(fastitpn.predict(run.directory, images, out=tmp_path / "p", **USE)) == 5
        out = fastitpn.export("onnx", run.directory, data=segment_scenes, dynamic="batch", limit=2, out=tmp_path / "x")
        quality = json.loads((out / "model.json").read_text())["quality"]
        assert quality["file"] == pytest.approx(quality["model"], abs=0.1)
        assert "convolution" in (run.directory / "report.html").read_text()
        assert fastitpn.inspect(run.directory).what.startswith("segmentation network with the head convolution")
        assert main(["finetune", "segment", "--help"]) == 0
        assert "head.width" in capsys.readouterr().out
    with pytest.raises(
        InputError, match="head: expected one of linear, upernet, mask2former, maskdino, got 'convolution'"
    ):
        fastitpn.finetune("segment", head="convolution", **keys)


def test_a_detector(detect_scenes, tmp_path):
    from extending.detector import DETECTOR

    keys = {**TRAINING, "data": detect_scenes, "out": tmp_path / "run", "scratch": True, "lr": 1e-3}
    with registered(DETECTORS, "one_object", DETECTOR):
        run = fastitpn.finetune("detect", detector="one_object", **keys)
        assert {"box_ap", "best_box_ap"} <= set(run.metrics)
        assert torch.load(run.best_checkpoint, weights_only=True)["detector"]["arguments"] == {"box_weight": 2.0}
        evaluation = fastitpn.evaluate(run.directory, detect_scenes, out=tmp_path / "e", **USE)
        assert evaluation.metrics["box_ap"] == pytest.approx(run.metrics["best_box_ap"])
        detections = fastitpn.predict(run.directory, detect_scenes / "val", min_score=0, out=tmp_path / "p", **USE)
        assert all(len(image.instances) == 1 for image in detections)
        out = fastitpn.export(
            "torch_export", run.directory, data=detect_scenes, dynamic="batch", limit=2, out=tmp_path / "x"
        )
        assert json.loads((out / "model.json").read_text())["quality"]["metric"] == "box_ap"
    with pytest.raises(InputError, match=r"detector: expected one of mask_rcnn, .*, got 'one_object'"):
        fastitpn.finetune("detect", detector="one_object", **keys)


def test_a_teacher(scenes, tmp_path, capsys):
    from extending.teacher import TEACHER

    keys = {**TRAINING, "data": scenes.unlabelled, "out": tmp_path / "run"}
    with registered(TEACHERS, "colours", TEACHER):
        run = fastitpn.pretrain(teacher={"name": "colours", "repeat": 3}, **keys)
        saved = torch.load(run.last_checkpoint, weights_only=True)
        assert saved["model"]["arguments"]["teacher_dim"] == 9
        assert saved["teacher"]["name"] == "colours"
        assert "colours" in (run.directory / "report.html").read_text()
        assert main(["pretrain", "--help"]) == 0
        assert "teacher.repeat" in capsys.readouterr().out
    with pytest.raises(InputError, match=r"teacher: expected one of ema, timm:NAME .*, got 'colours'"):
        fastitpn.pretrain(teacher="colours", **keys)


def test_a_label_format(detect_scenes, tmp_path):
    from extending.label_format import FORMAT

    data = tmp_path / "data"
    rows = []
    for part in ("train", "val"):
        shutil.copytree(detect_scenes / part, data / part)
        content = json.loads((detect_scenes / f"annotations_{part}.json").read_text())
        names = {category["id"]: category["name"] for category in content["categories"]}
        files = {image["id"]: f"{part}/{Path(image['file_name']).name}" for image in content["images"]}
        rows += [
            (part, files[thing["image_id"]], names[thing["category_id"]], *thing["bbox"])
            for thing in content["annotations"]
            if not thing.get("iscrowd")
        ]
    with open(data / "boxes.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    with registered(LABEL_FORMATS, "box_table", FORMAT):
        keys = {**TRAINING, "steps": 1, "detector": "faster_rcnn", "scratch": True}
        run = fastitpn.finetune("detect", data=data, out=tmp_path / "run", **keys)
        assert run.complete
        assert fastitpn.evaluate(run.directory, data, out=tmp_path / "e", **USE).num_images > 0
        assert fastitpn.doctor(data, similar=None, out=tmp_path / "d").form == "Table of boxes"
        converted = fastitpn.convert_data(data=data, form="box_table", out=tmp_path / "coco")
        assert converted.num_annotations == len(rows)
    with pytest.raises(InputError, match="annotations"):
        fastitpn.finetune("detect", data=data, out=tmp_path / "other", **keys)


def test_an_export_format(classifier_run, tmp_path):
    from extending.runtime import FORMAT

    with registered(EXPORT_FORMATS, "numpy", FORMAT):
        out = fastitpn.export("numpy", classifier_run.directory, out=tmp_path / "x")
        about = json.loads((out / "model.json").read_text())
        assert (about["file"], about["parity"]["largest_relative_difference"]) == ("model.npz", 0.0)
        with pytest.raises(InputError, match=r"precision: expected fp32 for format=numpy, .*got fp16"):
            fastitpn.export("numpy", classifier_run.directory, precision="fp16", out=tmp_path / "y")
    with pytest.raises(InputError, match="no form 'numpy'"):
        fastitpn.export("numpy", classifier_run.directory, out=tmp_path / "x")


def test_a_member_whose_package_is_missing():
    registry: Registry[Any] = Registry("runtime", {"fast": "no_such_package.fast:FAST"}, {"fast": "speed"})
    with pytest.raises(InputError, match="the runtime 'fast' needs a package that is not installed") as caught:
        _ = registry["fast"]
    assert caught.value.fix == "pip install 'fastitpn[speed]'"
    with pytest.raises(InputError, match="there is no runtime 'fats'") as caught:
        _ = registry["fats"]
    assert (caught.value.expected, caught.value.fix) == ("fast", "runtime=fast")


def test_a_criterion_says_which_tokens_leave():
    """Its name is a value of `metric`, and the presets' other parts go with it."""
    torch.manual_seed(0)
    model = fastitpn.create_model("fastitpn_nano", img_size=64, num_classes=2).eval()
    images = torch.randn(1, 3, 64, 64)
    with pytest.raises(InputError, match="metric='small'"):
        fastitpn.Migration(metric="small")
    with registered(CRITERIA, "small", "extending.criterion:CRITERION"):
        model.set_acceleration(migration=fastitpn.Migration(metric="small", after_blocks=(2,)))
        features = model.encode(images, taps=fastitpn.Taps(blocks=(2,)))
        trace = model.trace_tokens(images)
        norms = features.blocks[2].norm(dim=-1)[0].flatten()
        assert set(trace.left[0].nonzero().flatten().tolist()) == set(norms.argsort()[:8].tolist())
