"""Which acceleration a model is trained and run with, from the weights to the last verb."""

import json

import pytest
import torch
from tiny_runs import TRAINING, assert_same, content, figures

import fastitpn
from fastitpn.cli.main import main
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.acceleration.settings import PRESETS, Acceleration
from fastitpn.runs.acceleration import acceleration_figure, choose_acceleration, trained_acceleration
from fastitpn.runs.checkpoint import load_checkpoint, save_checkpoint
from fastitpn.runs.run import Run
from fastitpn.tasks.classify.task import ClassifyTask
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.pretrain import build_task

OFF, BALANCED, FAST = (PRESETS[name] for name in ("off", "balanced", "fast"))
OWN = Acceleration(name="mine", migration=Migration(keep_ratio=0.7), gathering=Gathering(window=4))
LARGE = {**TRAINING, "px": 128}
"""64 tokens, of which half may leave."""


def finetune(scenes, out, **keys) -> Run:
    return fastitpn.finetune("classify", **{"data": scenes.train, "val": scenes.val, "out": out, **LARGE, **keys})


def said(capsys) -> list[str]:
    """The lines about acceleration."""
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("acceleration ")]


@pytest.fixture(scope="module")
def balanced_run(scenes, pretrained_run, tmp_path_factory) -> Run:
    """Fine-tuned with acceleration, from weights that were pre-trained without; read only."""
    out = tmp_path_factory.mktemp("runs") / "balanced"
    return finetune(scenes, out, weights=pretrained_run.directory, acceleration="balanced")


class TestChoice:
    """What is asked for, what the weights were trained with, and the line between them."""

    def test_what_a_checkpoint_remembers(self):
        assert trained_acceleration({"acceleration": OWN.to_dict()}, "a.ckpt") == OWN
        assert trained_acceleration({"task": "classify"}, "old.ckpt") == OFF
        assert trained_acceleration({}, "published.pt") == OFF

    @pytest.mark.parametrize("entry", ["warp", {"speed": 9}, {"migration": {"keep_ratio": 2}}, {"migration": 3}, 3])
    def test_what_no_version_has_written(self, entry):
        with pytest.raises(InputError, match="the acceleration that this checkpoint was trained with") as caught:
            trained_acceleration({"acceleration": entry}, "a.ckpt")
        assert caught.value.where == "a.ckpt"
        assert caught.value.fix

    @pytest.mark.parametrize(
        ("asked", "trained"), [(None, FAST), ("fast", FAST), (FAST.to_dict(), FAST), ("fast", None)]
    )
    def test_nothing_is_said_about_what_is_no_change(self, asked, trained, capsys):
        assert choose_acceleration(asked, trained) == FAST
        assert capsys.readouterr().out == ""

    def test_neither_is_off(self):
        assert choose_acceleration(None, None) == OFF

    def test_another_is_one_line(self, capsys):
        assert choose_acceleration("balanced", FAST) == BALANCED
        [line] = said(capsys)
        assert line == f"acceleration {BALANCED.describe()}, although the weights were trained with fast"

    def test_another_of_the_same_name_is_described(self, capsys):
        before = Acceleration(name="balanced", migration=Migration(keep_ratio=0.9))
        choose_acceleration("balanced", before)
        assert f"although the weights were trained with {before.describe()}" in said(capsys)[0]

    def test_the_figure_of_a_report(self):
        assert acceleration_figure(OFF) == ("acceleration", "off", "")
        name, value, note = acceleration_figure(OWN)
        assert (name, value) == ("acceleration", "mine")
        assert note.startswith("70% of the tokens")


class TestFinetune:
    """Training with acceleration."""

    @pytest.mark.drawn
    def test_it_is_on_and_the_run_says_so(self, balanced_run, pretrained_run):
        saved = load_checkpoint(balanced_run.best_checkpoint)
        assert saved["acceleration"] == BALANCED.to_dict()
        assert content(pretrained_run)["acceleration"] == OFF.to_dict()
        assert balanced_run.config["acceleration"] == "balanced"
        page = (balanced_run.directory / "report.html").read_text()
        assert BALANCED.describe().removeprefix("balanced: ") in page
        assert fastitpn.inspect(balanced_run.directory).acceleration == BALANCED.describe()

    def test_the_line_when_the_weights_learnt_without(self, scenes, pretrained_run, tmp_path, capsys):
        finetune(scenes, tmp_path / "run", weights=pretrained_run.directory, acceleration="fast", steps=1)
        assert said(capsys) == [f"acceleration {FAST.describe()}, although the weights were trained with off"]

    def test_it_changes_what_is_learnt(self, scenes, balanced_run, pretrained_run, tmp_path):
        plain = finetune(scenes, tmp_path / "plain", weights=pretrained_run.directory)
        ours, theirs = (content(run)["weights"]["head.weight"] for run in (balanced_run, plain))
        assert not torch.equal(ours, theirs)

    def test_weights_that_learnt_with_it_go_on_with_it(self, scenes, balanced_run, tmp_path, capsys):
        run = finetune(scenes, tmp_path / "run", weights=balanced_run.directory, steps=1)
        assert content(run)["acceleration"] == BALANCED.to_dict()
        assert said(capsys) == []
        assert run.config["acceleration"] is None
        run = finetune(scenes, tmp_path / "off", weights=balanced_run.directory, steps=1, acceleration="off")
        assert content(run)["acceleration"] == OFF.to_dict()
        assert said(capsys) == ["acceleration off, although the weights were trained with balanced"]

    def test_interrupted_it_goes_on_to_the_same_bits(self, scenes, tmp_path, monkeypatch):
        keys = {"steps": 4, "checkpoint_every": 2, "scratch": True, "acceleration": "fast"}
        unbroken = finetune(scenes, tmp_path / "unbroken", **keys)
        forward, done = ClassifyTask.forward, []

        def forward_until_the_cut(task, batch):
            done.append(1)
            if len(done) == 4:
                raise OSError("the machine is gone")
            return forward(task, batch)

        with monkeypatch.context() as patch:
            patch.setattr(ClassifyTask, "forward", forward_until_the_cut)
            with pytest.raises(OSError, match="the machine is gone"):
                finetune(scenes, tmp_path / "cut", **keys)
        with pytest.raises(InputError, match="acceleration: 'fast' there, 'balanced' now"):
            finetune(scenes, tmp_path / "cut", **{**keys, "acceleration": "balanced"})
        cut = finetune(scenes, tmp_path / "cut", **keys)
        assert_same(content(cut)["weights"], content(unbroken)["weights"])
        assert figures(cut) == figures(unbroken)


class TestPretrain:
    """The student is accelerated, its teacher never."""

    def config(self, scenes, **keys) -> PretrainConfig:
        return build(PretrainConfig, {"data": scenes.unlabelled, **LARGE, **keys})

    def test_a_run_remembers_it(self, scenes, tmp_path, capsys):
        keys = {**LARGE, "acceleration": "balanced", "steps": 2, "pictures": True}
        run = fastitpn.pretrain(data=scenes.unlabelled, out=tmp_path / "run", **keys)
        assert content(run)["acceleration"] == BALANCED.to_dict()
        assert said(capsys) == []  # random weights have learnt with none
        tuned = finetune(scenes, tmp_path / "tuned", weights=run.directory, steps=1)
        assert content(tuned)["acceleration"] == BALANCED.to_dict()
        again = build_task(self.config(scenes, weights=run.directory))
        assert again.trained_model.backbone.acceleration == BALANCED

    def test_the_moving_average_gives_a_target_for_every_patch(self, scenes):
        task = build_task(self.config(scenes, acceleration="fast"))
        assert task.trained_model.backbone.acceleration == FAST
        assert task.teacher.trunk.acceleration == OFF
        assert task.teacher(torch.randn(2, 3, 128, 128)).shape == (2, 64, 192)


class TestUse:
    """What was trained, run with its own acceleration or with another."""

    def test_load_takes_the_checkpoints_own(self, balanced_run, classifier_run, capsys):
        assert load_trained(balanced_run.directory).model.acceleration == BALANCED
        assert load_trained(classifier_run.directory).model.acceleration == OFF
        assert said(capsys) == []

    @pytest.mark.parametrize("asked", ["off", FAST, OWN, OWN.to_dict()])
    def test_load_takes_another_with_one_line(self, balanced_run, scenes, capsys, asked):
        own = fastitpn.load(balanced_run.directory, device="cpu")(scenes.val)
        predictor = fastitpn.load(balanced_run.directory, acceleration=asked, device="cpu")
        [line] = said(capsys)
        assert line.endswith("although the weights were trained with balanced")
        assert [one.scores for one in predictor(scenes.val)] != [one.scores for one in own]

    def test_a_checkpoint_of_an_older_version(self, classifier_run, tmp_path, capsys):
        saved = load_checkpoint(classifier_run.best_checkpoint)
        del saved["acceleration"]
        save_checkpoint(tmp_path / "old.ckpt", saved)
        assert load_trained(tmp_path / "old.ckpt").model.acceleration == OFF
        assert said(capsys) == []
        assert fastitpn.inspect(tmp_path / "old.ckpt").acceleration == "off"

    def test_evaluate(self, balanced_run, scenes, tmp_path, capsys):
        words = ["evaluate", str(balanced_run.directory), str(scenes.val), "device=cpu", "workers=0"]
        assert main([*words, f"out={tmp_path / 'own'}"]) == 0
        assert said(capsys) == []
        assert main([*words, f"out={tmp_path / 'off'}", "acceleration=off"]) == 0
        assert said(capsys) == ["acceleration off, although the weights were trained with balanced"]
        own, off = (json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("own", "off"))
        assert (own["acceleration"], off["acceleration"]) == (BALANCED.to_dict(), OFF.to_dict())
        assert own["metrics"]["loss"] == pytest.approx(balanced_run.metrics["loss"], abs=1e-5)
        assert own["metrics"]["loss"] != off["metrics"]["loss"]

    def test_predict(self, balanced_run, scenes, tmp_path, capsys):
        words = ["predict", str(balanced_run.directory), str(scenes.val), "device=cpu", f"out={tmp_path / 'out'}"]
        assert main([*words, "acceleration=fast"]) == 0
        assert said(capsys) == [f"acceleration {FAST.describe()}, although the weights were trained with balanced"]

    def test_python_names_the_nearest(self, classifier_run):
        with pytest.raises(InputError, match="no acceleration is named 'fats'") as caught:
            fastitpn.load(classifier_run.directory, acceleration="fats")
        assert caught.value.fix == "acceleration=fast"

    @pytest.mark.parametrize("verb", ["pretrain", "finetune classify", "evaluate", "predict", "visualize tokens"])
    def test_the_command_line_names_the_nearest(self, verb, capsys):
        positional = {"evaluate": ["a.ckpt", "data"], "predict": ["a.ckpt", "b.jpg"]}
        words = [*verb.split(), *positional.get(verb, ["data=x"])]
        assert main([*words, "acceleration=blanced"]) == 2
        assert (
            "acceleration: expected one of off, balanced, fast, tuned or none, got 'blanced'; did you mean balanced?"
            in (capsys.readouterr().err)
        )
