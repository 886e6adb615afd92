"""`fastitpn accelerate` from a run to its copy; speeds are made up, so that no test depends on the machine."""

import csv
import json
import shutil

import pytest
import torch
from tiny_runs import assert_same, files
from tuning_fakes import FakeSpeed, kept

import fastitpn
from fastitpn.cli.main import main
from fastitpn.errors import InputError
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.models.acceleration.settings import TUNED
from fastitpn.runs.acceleration import choose_acceleration
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.tasks.loading import load_trained
from fastitpn.tuning import accelerate, search, subject
from fastitpn.tuning.loss import Loss

USE = {"device": "cpu", "workers": 0, "px": 64, "minutes": 0.5}


@pytest.fixture(autouse=True, scope="module")
def few():
    """Few settings, each with a speed that follows from its numbers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject, "EagerSpeed", FakeSpeed)
        patch.setattr(search, "MOST_BRACKETS", 1)
        patch.setattr(search, "MOST_ON_ALL", 3)
        yield


@pytest.fixture(scope="module")
def tuned(few, classifier_run, scenes, tmp_path_factory):
    """A copy of a classifier's run; read only."""
    out = tmp_path_factory.mktemp("tuned") / "copy"
    return fastitpn.accelerate(classifier_run.directory, scenes.val, max_loss=100, out=out, **USE)


def test_the_fastest_is_in_the_copy(tuned, classifier_run):
    chosen = tuned.chosen.setting
    assert chosen.name == TUNED
    assert tuned.chosen.ratio == max(2 - kept(row.setting) for row in tuned.rows)
    assert files(tuned.out) == [
        "accelerate.csv",
        "accelerate.json",
        "accelerate.png",
        "checkpoints/best.ckpt",
        "config.yaml",
        "log.txt",
        "metrics.jsonl",
        "report.html",
        "result.json",
    ]
    content, before = (
        load_checkpoint(folder / "checkpoints" / "best.ckpt") for folder in (tuned.out, classifier_run.directory)
    )
    assert content["acceleration"] == chosen.to_dict()
    assert_same(content["weights"], before["weights"])
    page = (tuned.out / "report.html").read_text()
    assert "Loss against speed" in page
    assert f"{tuned.chosen.ratio:.2f}x" in page
    rows = list(csv.DictReader((tuned.out / "accelerate.csv").read_text().splitlines()))
    assert [row["chosen"] for row in rows].count("True") == 1
    assert json.loads((tuned.out / "accelerate.json").read_text())["chosen"] == chosen.to_dict()


def test_every_verb_takes_it(tuned, scenes, tmp_path, capsys):
    use = {"device": "cpu", "workers": 0}
    for asked in (None, "tuned"):
        assert load_trained(tuned.out, asked).acceleration == tuned.chosen.setting
    evaluation = fastitpn.evaluate(tuned.out, scenes.val, px=64, out=tmp_path / "e", **use)
    assert evaluation.metrics["top1"] == pytest.approx(tuned.chosen.loss.value)
    assert json.loads((tmp_path / "e/evaluation.json").read_text())["acceleration"]["name"] == TUNED
    assert (
        main(["predict", str(tuned.out), str(scenes.val), "acceleration=tuned", f"out={tmp_path / 'p'}", "device=cpu"])
        == 0
    )
    assert fastitpn.Run(tuned.out).verb == "finetune classify"
    assert load_trained(tuned.out, "off").acceleration.off
    assert len(fastitpn.load(tuned.out, acceleration="tuned", device="cpu")(next(scenes.val.rglob("*.jpg")))) == 1


def test_only_what_was_tuned_has_it(classifier_run):
    with pytest.raises(InputError, match="these weights have no tuned acceleration") as caught:
        fastitpn.load(classifier_run.directory, acceleration="tuned")
    assert "fastitpn accelerate RUN" in caught.value.fix
    with pytest.raises(InputError, match="no tuned acceleration"):
        choose_acceleration("tuned", None)


def test_when_the_time_is_over_the_same_command_only_chooses(tuned, classifier_run, scenes, monkeypatch):
    monkeypatch.setattr(subject.Quality, "_evaluate", None)
    keys = {**USE, "minutes": 1e-4, "max_loss": 100, "out": tuned.out}
    again = fastitpn.accelerate(classifier_run.directory, scenes.val, **keys)
    assert again.chosen.setting == tuned.chosen.setting
    assert {row.setting: row.loss for row in again.rows} == {row.setting: row.loss for row in tuned.rows}
    with pytest.raises(InputError, match="measurements of something else: px changed"):
        fastitpn.accelerate(classifier_run.directory, scenes.val, **{**keys, "px": 96})


def test_segmentation_and_detection(segmenter_run, segment_scenes, detector_run, detect_scenes, tmp_path):
    for run, data, metric in ((segmenter_run, segment_scenes, "miou"), (detector_run, detect_scenes, "mask_ap")):
        chosen = fastitpn.accelerate(run.directory, data, max_loss=100, out=tmp_path / metric, **{**USE, "px": 32})
        assert chosen.metric.name == metric
        assert chosen.chosen.loss.points <= 100
        evaluation = fastitpn.evaluate(chosen.out, data, px=32, out=tmp_path / f"{metric}-e", device="cpu", workers=0)
        assert evaluation.metrics[metric] == pytest.approx(chosen.chosen.loss.value, abs=1e-3)
        assert evaluation.of_images(range(evaluation.num_images)) == pytest.approx(evaluation.metrics[metric], abs=1e-6)


def test_training_with_it(classifier_run, scenes, tmp_path, monkeypatch):
    asked = {}

    def trained(config, weights, out, *, steps, **machine):
        asked.update(lr=config.lr, steps=steps, acceleration=load_checkpoint(weights)["acceleration"])
        return classifier_run.best_checkpoint

    monkeypatch.setattr(accelerate, "train", trained)
    out = tmp_path / "copy"
    result = fastitpn.accelerate(classifier_run.directory, scenes.val, max_loss=100, train=True, out=out, **USE)
    assert result.chosen.trained
    assert asked["acceleration"] == result.chosen.setting.to_dict()
    assert asked["steps"] >= 10
    monkeypatch.setattr(accelerate, "train", None)  # the same command takes what was trained
    again = {**USE, "minutes": 1e-4, "max_loss": 100, "train": True, "out": out}
    assert fastitpn.accelerate(classifier_run.directory, scenes.val, **again).chosen == result.chosen


class TestBadInput:
    def test_nothing_loses_as_little(self, classifier_run, scenes, tmp_path, monkeypatch):
        lost = Loss(images=12, value=10, points=7, low=6, high=8)
        monkeypatch.setattr(subject.Quality, "loss", lambda self, setting, count: lost)
        out = tmp_path / "copy"
        with pytest.raises(InputError) as caught:
            fastitpn.accelerate(classifier_run.directory, scenes.val, max_loss=0.5, out=out, **USE)
        assert "no setting" in str(caught.value)
        assert not out.exists()

    def test_what_cannot_be_accelerated(self, scenes, pretrained_run, classifier_run, tmp_path, monkeypatch):
        with pytest.raises(InputError, match="has nothing to evaluate"):
            fastitpn.accelerate(pretrained_run.directory, scenes.val, out=tmp_path / "a", **USE)
        with pytest.raises(InputError, match="out is the directory of a run") as caught:
            fastitpn.accelerate(classifier_run.directory, scenes.val, out=classifier_run.directory, **USE)
        assert "accelerated" in caught.value.fix
        alone = shutil.copyfile(classifier_run.best_checkpoint, tmp_path / "alone.ckpt")
        with pytest.raises(InputError, match="settings and the data of the training are not here"):
            fastitpn.accelerate(alone, scenes.val, train=True, out=tmp_path / "b", **USE)
        assert not (tmp_path / "a").exists()
        assert not (tmp_path / "b").exists()

    def test_no_labels(self, classifier_run, tmp_path, capsys):
        (tmp_path / "empty").mkdir()
        assert (
            main(["accelerate", str(classifier_run.directory), f"data={tmp_path / 'empty'}", f"out={tmp_path / 'c'}"])
            == 2
        )
        assert "Traceback" not in capsys.readouterr().err
        assert not (tmp_path / "c").exists()

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (["px=100"], "multiple of 16"),
            (["runtime=tensorrt"], "openvino"),
            (["max_loss=-1"], "max_loss"),
            (["acceleration=fast"], "acceleration"),
        ],
    )
    def test_keys(self, classifier_run, scenes, words, says, capsys):
        assert main(["accelerate", str(classifier_run.directory), f"data={scenes.val}", *words]) == 2
        assert says in capsys.readouterr().err

    def test_a_runtime_that_is_not_here(self, classifier_run, scenes, tmp_path, monkeypatch):
        def absent():
            raise InputError("openvino is not installed", fix="pip install 'fastitpn[openvino]'")

        monkeypatch.setattr(FORMATS["openvino"], "check_installed", absent)
        with pytest.raises(InputError, match="openvino is not installed"):
            fastitpn.accelerate(classifier_run.directory, scenes.val, runtime="openvino", out=tmp_path / "d", **USE)

    def test_relative_positions(self, scenes, tmp_path, classifier_run):
        content = load_checkpoint(classifier_run.best_checkpoint)
        model = fastitpn.create_model(
            "fastitpn_nano", num_classes=3, img_size=32, relative_position="shared", class_token=True
        )
        content["model"]["arguments"] |= {"relative_position": "shared", "class_token": True}
        torch.save({**content, "weights": model.state_dict()}, tmp_path / "relative.ckpt")
        with pytest.raises(InputError, match="relative positions cannot be accelerated"):
            fastitpn.accelerate(tmp_path / "relative.ckpt", scenes.val, out=tmp_path / "e", **USE)
