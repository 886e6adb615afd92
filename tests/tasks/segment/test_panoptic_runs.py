"""Fine-tuning for panoptic segmentation as a whole, and the evaluation of it."""

import json
import shutil

import pytest
from PIL import Image
from tiny_runs import PANOPTIC, assert_same, content, figures, shallow_mask2former

import fastitpn
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.segment.config import SegmentConfig
from fastitpn.tasks.segment.task import SegmentTask

FIGURES = {f"{name}{group}" for group in ("", "_things", "_stuff") for name in ("pq", "sq", "rq")}


@pytest.fixture(autouse=True)
def shallow():
    with shallow_mask2former():
        yield


def finetune(data, out, **keys):
    return fastitpn.finetune("segment", **{"data": data, "out": out, **PANOPTIC, **keys})


def test_a_run_and_its_checkpoint(panoptic_run):
    saved = load_checkpoint(panoptic_run.best_checkpoint)
    assert saved["task"] == "segment"
    assert saved["masks"]["things"] == ["mammal", "produce", "building"]
    classes = load_trained(panoptic_run.best_checkpoint).about.classes
    assert classes.counted == (False, True, True, True, False)
    assert {"train_loss", "best_pq", "best_step"} < set(panoptic_run.metrics)
    page = (panoptic_run.directory / "report.html").read_text()
    for part in ("Panoptic quality by class", "Image, segments, found", "Panoptic quality (PQ)", "false alarms"):
        assert part in page


def test_it_learns(panoptic_scenes, pretrained_run, tmp_path):
    """Its own training images by heart."""
    keys = {"hflip": 0, "drop_path": 0, "max_class_ratio": 1, "layer_decay": 1, "warmup_steps": 5, "batch": 5}
    file = panoptic_scenes / "annotations" / "panoptic_val.json"
    run = finetune(
        file, tmp_path, val=file, weights=pretrained_run.directory, steps=60, lr=3e-3, eval_every_epochs=100, **keys
    )
    losses = [row["loss"] for row in run.history if row["split"] == "train"]
    assert losses[-1] < 0.7 * losses[0]
    assert run.metrics["pq_stuff"] > 25
    assert set(run.metrics) >= FIGURES


def test_interrupted_it_goes_on_to_the_same_bits(panoptic_scenes, pretrained_run, tmp_path, monkeypatch):
    keys = {"steps": 4, "checkpoint_every": 2, "weights": pretrained_run.directory}
    unbroken = finetune(panoptic_scenes, tmp_path / "unbroken", **keys)
    forward, done = SegmentTask.forward, []

    def forward_until_the_cut(task, batch):
        done.append(1)
        if len(done) == 4:
            raise OSError("the machine is gone")
        return forward(task, batch)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentTask, "forward", forward_until_the_cut)
        with pytest.raises(OSError, match="the machine is gone"):
            finetune(panoptic_scenes, tmp_path / "cut", **keys)
    cut = finetune(panoptic_scenes, tmp_path / "cut", **keys)
    assert_same(content(cut)["training"], content(unbroken)["training"])
    assert_same(content(cut)["weights"], content(unbroken)["weights"])
    assert figures(cut) == figures(unbroken)


def test_a_semantic_network_goes_on_as_a_panoptic_one(panoptic_scenes, pretrained_run, tmp_path, capsys):
    keys = {"steps": 1, "weights": pretrained_run.directory}
    semantic = finetune(panoptic_scenes, tmp_path / "semantic", **{**keys, "panoptic": False})
    assert "miou" in semantic.metrics
    finetune(panoptic_scenes, tmp_path / "panoptic", steps=1, weights=semantic.directory)
    assert "the head is taken over\n" in capsys.readouterr().out


class TestEvaluate:
    """`fastitpn evaluate`."""

    @pytest.mark.drawn
    def test_figures(self, panoptic_scenes, panoptic_run, tmp_path, capsys):
        found = fastitpn.evaluate(panoptic_run.directory, panoptic_scenes, out=tmp_path, workers=0, device="cpu")
        assert set(found.metrics) >= {"pq", "pq_things", "pq_stuff"}
        saved = json.loads((tmp_path / "evaluation.json").read_text())
        assert saved["metrics"] == found.metrics
        rows = {row["class"]: row for row in saved["per_class"]}
        assert {name: row["kind"] for name, row in rows.items()} == {
            "background": "stuff",
            "mammal": "thing",
            "produce": "thing",
            "building": "thing",
            "plant": "stuff",
        }
        assert rows["background"]["segments"] == 5
        assert "Panoptic quality by class" in capsys.readouterr().out
        assert "Worst images" in (tmp_path / "report.html").read_text()

    def test_the_last_validation_of_the_run_is_the_same(self, panoptic_scenes, panoptic_run, tmp_path):
        found = fastitpn.evaluate(panoptic_run.directory, panoptic_scenes, out=tmp_path, workers=0, device="cpu")
        assert found.metrics["pq"] == pytest.approx(panoptic_run.metrics["best_pq"], abs=1e-6)

    @pytest.mark.parametrize("keys", [{"flip": True}, {"scales": (0.75, 1)}, {"inference": "slide"}])
    def test_it_looks_once(self, panoptic_scenes, panoptic_run, tmp_path, keys):
        with pytest.raises(InputError, match="not used by a panoptic network"):
            fastitpn.evaluate(panoptic_run.directory, panoptic_scenes, out=tmp_path, **keys)

    def test_data_without_segments(self, segment_scenes, panoptic_run, tmp_path):
        data = shutil.copytree(segment_scenes, tmp_path / "data", ignore=shutil.ignore_patterns("classes.yaml"))
        with pytest.raises(InputError, match="no panoptic annotations"):
            fastitpn.evaluate(panoptic_run.directory, data, out=tmp_path / "out")


class TestBadInput:
    """Named by file and segment before training."""

    def test_other_heads(self, panoptic_scenes):
        with pytest.raises(InputError, match=r"head: expected mask2former or maskdino for panoptic=true, got upernet"):
            build(SegmentConfig, {"data": panoptic_scenes, "panoptic": True, "batch": 4})

    def test_segments_that_are_wrong(self, panoptic_scenes, tmp_path, capsys):
        data = shutil.copytree(panoptic_scenes, tmp_path / "data")
        pngs = data / "annotations" / "panoptic_train"
        (pngs / "000000.png").unlink()
        Image.new("RGB", (70, 70), (9, 9, 9)).save(pngs / "000001.png")
        with Image.open(pngs / "000002.png") as png:
            Image.new("RGB", png.size, (9, 0, 1)).save(pngs / "000002.png")
        with pytest.raises(InputError) as error:
            finetune(data, tmp_path / "run", scratch=True)
        text = str(error.value)
        assert "3 problems in the annotations and images" in text
        assert "000000.png: there is no such file" in text
        assert "000001.png is 70x70 px" in text
        assert "000002.png: segment 65545, image 3:" in text
        assert "COCO's panoptic format" in text
        assert not (tmp_path / "run").exists()
        run = finetune(data, tmp_path / "run", scratch=True, on_error="skip", steps=1)
        assert "3 images left out" in capsys.readouterr().out
        assert run.complete
