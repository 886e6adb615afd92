"""`evaluate` without data: the images that a run was validated on, as long as they are what they were."""

import shutil

import pytest
from tiny_runs import FINETUNING

import fastitpn
from fastitpn.commands.of_checkpoint import keys_of_all
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.runs.trained_model import open_checkpoint
from fastitpn.tasks.keys import EvaluateConfig
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.run_data import read_again, run_settings, settings_for_evaluation

KEYS = {"device": "cpu", "workers": 0}


@pytest.fixture
def opened(classifier_run):
    checkpoint = open_checkpoint(classifier_run.directory)
    return checkpoint, settings_for_evaluation(checkpoint)


@pytest.mark.drawn
def test_the_figures_are_those_of_the_run(classifier_run, tmp_path, capsys):
    evaluation = fastitpn.evaluate(classifier_run.directory, out=tmp_path / "out", **KEYS)
    assert evaluation.metrics["top1"] == pytest.approx(classifier_run.metrics["best_top1"])
    assert evaluation.num_images == 6
    assert "without data: the 6 images that the run was validated on" in capsys.readouterr().out
    assert "validation images of the run" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.parametrize("task", ["detect", "segment"])
def test_the_images_are_those_of_the_training(request, task):
    run = request.getfixturevalue({"detect": "detector_run", "segment": "segmenter_run"}[task])
    checkpoint = open_checkpoint(run.directory)
    split = read_again(TASKS.spec(task), settings_for_evaluation(checkpoint), checkpoint)
    assert (
        f"{len(split.train)} images to train, {len(split.val)} to validate" in (run.directory / "log.txt").read_text()
    )


def test_a_split_of_the_data_is_made_again(scenes, tmp_path):
    out = tmp_path / "run"
    run = fastitpn.finetune(
        "classify", data=scenes.train, val_ratio=0.3, seed=5, out=out, scratch=True, **{**FINETUNING, "steps": 1}
    )
    checkpoint = open_checkpoint(run.directory)
    config = settings_for_evaluation(checkpoint)
    once, again = TASKS.spec("classify").open_data(config), read_again(TASKS.spec("classify"), config, checkpoint)
    assert again.val.paths == once.val.paths
    assert not set(again.val.paths) & set(again.train.paths)


def changed(classifier_run, scenes, tmp_path, change):
    """A copy of the run whose data is a copy, changed."""
    for part, folder in (("train", scenes.train), ("val", scenes.val)):
        shutil.copytree(folder, tmp_path / part)
    copy = tmp_path / "run"
    shutil.copytree(classifier_run.directory, copy)
    settings = (copy / "config.yaml").read_text()
    for part, folder in (("train", scenes.train), ("val", scenes.val)):
        settings = settings.replace(str(folder), str(tmp_path / part))
    (copy / "config.yaml").write_text(settings)
    change(tmp_path)
    checkpoint = open_checkpoint(copy)
    return read_again(TASKS.spec("classify"), settings_for_evaluation(checkpoint), checkpoint)


def first(folder):
    return min(folder.rglob("*.jpg"))


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda folder: shutil.copyfile(first(folder / "val"), folder / "val" / "mammal" / "new.jpg"), "1 file more"),
        (lambda folder: first(folder / "train").unlink(), "1 file fewer"),
        (lambda folder: first(folder / "val").write_bytes(first(folder / "train").read_bytes() + b" "), "another size"),
        (lambda folder: shutil.rmtree(folder / "val"), "cannot be read: "),
    ],
    ids=["more", "fewer", "resized", "gone"],
)
def test_data_that_has_changed(classifier_run, scenes, tmp_path, change, part):
    with pytest.raises(InputError) as error:
        changed(classifier_run, scenes, tmp_path, change)
    assert part in error.value.what
    assert error.value.fix == f"fastitpn evaluate {tmp_path / 'run'} data=FOLDER"


def test_data_that_has_moved_with_its_run_is_the_same(classifier_run, scenes, tmp_path):
    assert len(changed(classifier_run, scenes, tmp_path, lambda folder: None).val) == 6


def test_weights_that_are_gone_do_not_matter(opened, monkeypatch):
    checkpoint, config = opened
    assert config.weights is not None
    object.__setattr__(config, "weights", None)
    assert len(read_again(TASKS.spec("classify"), config, checkpoint).val) == 6


def test_a_checkpoint_in_no_run(classifier_run, tmp_path):
    shutil.copyfile(classifier_run.best_checkpoint, tmp_path / "model.ckpt")
    assert run_settings(open_checkpoint(tmp_path / "model.ckpt")) is None
    with pytest.raises(InputError, match="lies in no run folder") as error:
        fastitpn.evaluate(tmp_path / "model.ckpt", out=tmp_path / "out", **KEYS)
    assert error.value.fix == f"fastitpn evaluate {tmp_path / 'model.ckpt'} data=FOLDER"


@pytest.mark.parametrize("key", ["split", "images", "masks.folder", "classes", "ignore_index"])
def test_keys_that_need_data(key):
    value = {"split": "val", "ignore_index": 3}.get(key, "folder")
    with pytest.raises(InputError, match=f"{key.split('.')[0]}: expected none without data"):
        build(keys_of_all("evaluate", EvaluateConfig), {"checkpoint": "run", key: value})
