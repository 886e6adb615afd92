"""Finding, reading and building the classifier of a checkpoint."""

import pathlib
import shutil

import pytest
import torch
from tiny_runs import assert_same

import fastitpn
from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import load_checkpoint, save_checkpoint
from fastitpn.tasks.loading import load_trained


def load_classifier(source):
    return load_trained(source, task="classify")


@pytest.fixture
def run(classifier_run, tmp_path) -> pathlib.Path:
    """A copy of a run, to spoil."""
    return shutil.copytree(classifier_run.directory, tmp_path / "run")


@pytest.fixture
def saved(classifier_run):
    """What its checkpoint holds, to spoil."""
    return load_checkpoint(classifier_run.best_checkpoint)


def test_it_is_that_of_the_run(classifier_run, saved):
    classifier = load_classifier(classifier_run.directory)
    assert classifier.path == classifier_run.best_checkpoint
    assert (classifier.about.classes, classifier.px) == (("building", "mammal", "produce"), 32)
    assert (classifier.mean, classifier.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert_same(classifier.model.state_dict(), saved["weights"])
    assert not any(module.training for module in classifier.model.modules())


def test_the_best_checkpoint_comes_first_then_the_last(run):
    for name in ("best.ckpt", "last.ckpt"):
        assert load_classifier(run).path == run / "checkpoints" / name
        (run / "checkpoints" / name).rename(run / "checkpoints" / "previous.ckpt")
    assert load_classifier(str(run)).path == run / "checkpoints" / "previous.ckpt"
    (run / "checkpoints" / "previous.ckpt").unlink()
    with pytest.raises(InputError, match="this folder has no checkpoint") as caught:
        load_classifier(run)
    assert caught.value.where == run
    assert caught.value.expected == "a run directory that has one, or a .ckpt file"


def test_a_path_from_home(run, monkeypatch):
    monkeypatch.setenv("HOME", str(run.parent))
    assert load_classifier("~/run").path == run / "checkpoints" / "best.ckpt"


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="there is no such checkpoint or run") as caught:
        load_classifier(tmp_path / "none" / "a.ckpt")
    assert caught.value.where == tmp_path / "none" / "a.ckpt"
    assert caught.value.fix == f"list the folder: ls {tmp_path}"


def test_a_pre_training_has_no_classes(pretrained_run):
    with pytest.raises(InputError, match="this is a checkpoint of the task 'pretrain', and no classifier") as caught:
        load_classifier(pretrained_run.directory)
    assert caught.value.where == pretrained_run.best_checkpoint
    assert caught.value.expected == "a checkpoint of fastitpn finetune classify"
    assert caught.value.fix == f"fastitpn finetune classify data=FOLDER weights={pretrained_run.best_checkpoint}"


def test_a_published_classifier_has_no_names_of_classes(tmp_path):
    model = fastitpn.create_model("fastitpn_nano", num_classes=4)
    torch.save({"model": fastitpn.to_official_names(model.state_dict())}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="this is a classifier file without names of classes, and no trained"):
        load_classifier(tmp_path / "a.pt")


def test_weights_of_another_network(tmp_path):
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "a.pt")
    with pytest.raises(InputError, match="these are not Fast-iTPN weights") as caught:
        load_classifier(tmp_path / "a.pt")
    assert "found conv.weight" in caught.value.expected
    assert caught.value.fix


class Code:
    """Writes a file when it is unpickled."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def test_code_in_a_checkpoint_is_refused_and_not_run(run, saved, tmp_path):
    path = run / "checkpoints" / "best.ckpt"
    torch.save({**saved, "metrics": Code(tmp_path / "code-was-run")}, path)
    with pytest.raises(InputError, match="refused to load: the file wants to call") as caught:
        load_classifier(run)
    assert "pathlib" in caught.value.what
    assert caught.value.where == path
    assert caught.value.fix == f"use {run / 'checkpoints' / 'last.ckpt'}"
    assert not (tmp_path / "code-was-run").exists()
    torch.load(path, weights_only=False)  # shows that the code would have been run
    assert (tmp_path / "code-was-run").exists()


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.999])
def test_half_a_checkpoint_is_none(run, kept):
    path = run / "checkpoints" / "best.ckpt"
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(InputError, match="the file is damaged") as caught:
        load_classifier(run)
    assert (caught.value.where, caught.value.fix) == (path, f"use {run / 'checkpoints' / 'last.ckpt'}")


def test_a_single_wrong_bit_is_found(run):
    path = run / "checkpoints" / "best.ckpt"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"best\.ckpt is damaged or incomplete: wrong checksum"):
        load_classifier(run)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"classes": ["a", "b"]}, "the checkpoint has 2 names for 3 classes"),
        ({"classes": []}, "the checkpoint has 0 names for 3 classes"),
        ({"px": None}, "the checkpoint lacks px"),
        ({"model": {"name": "fastitpn_nano", "arguments": {"px": 3}}}, "cannot be built: .*'px'"),
        ({"model": {"name": "fastitpn_nano", "arguments": {"num_classes": 6}}}, "has 3 names for 6 classes"),
        ({"model": {"name": "fastitpn_nano", "arguments": {"num_classes": 3}}}, "cannot be built: .*size mismatch"),
        ({"model": {"name": "fastitpn_nona", "arguments": {}}}, "no model is named 'fastitpn_nona'"),
    ],
)
def test_a_checkpoint_that_contradicts_itself(saved, tmp_path, change, text):
    content = {key: value for key, value in {**saved, **change}.items() if value is not None}
    save_checkpoint(tmp_path / "a.ckpt", content)
    with pytest.raises(InputError, match=text):
        load_classifier(tmp_path / "a.ckpt")
