"""One export of each kind, made once, of networks that are cut short."""

import re
import shutil
from pathlib import Path

import pytest
import torch
from made_models import make_checkpoint
from tiny_runs import SHORT

import fastitpn
from fastitpn.runs.run import Run

_LEFT_OUT = re.compile(r"\bstages\.2\.blocks\.[2-9]\.")


@pytest.fixture(scope="session")
def short_classifier_run(classifier_run, tmp_path_factory) -> Run:
    """The classifier without most of its blocks; read only."""
    return _cut(classifier_run, tmp_path_factory.mktemp("runs") / "classify")


@pytest.fixture(scope="session")
def short_segmenter_run(segmenter_run, tmp_path_factory) -> Run:
    """The segmentation network without most of its blocks; read only."""
    return _cut(segmenter_run, tmp_path_factory.mktemp("runs") / "segment")


@pytest.fixture(scope="session")
def classifier_onnx(short_classifier_run, tmp_path_factory) -> Path:
    """The classifier as ONNX, for any number of images of any size; read only."""
    out = tmp_path_factory.mktemp("export") / "classifier"
    return fastitpn.export("onnx", short_classifier_run.directory, dynamic="all", out=out)


@pytest.fixture(scope="session")
def segmenter_onnx(short_segmenter_run, segment_scenes, tmp_path_factory) -> Path:
    """The segmentation network as ONNX, measured on its data; read only."""
    out = tmp_path_factory.mktemp("export") / "segmenter"
    return fastitpn.export("onnx", short_segmenter_run.directory, data=segment_scenes, out=out, px=48, width=64)


@pytest.fixture(scope="session")
def pyramid_onnx(pretrained_run, tmp_path_factory) -> Path:
    """The pre-trained pyramid as ONNX, for two images at a time; read only."""
    out = tmp_path_factory.mktemp("export") / "pyramid"
    return fastitpn.export("onnx", pretrained_run.directory, dynamic="off", batch=2, out=out)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Gives the checkpoint and the exported folder of a kind, each made once."""
    folder = tmp_path_factory.mktemp("made")
    folders: dict[tuple, Path] = {}

    def make(name: str, form: str, **keys) -> tuple[Path, Path]:
        checkpoint = folder / f"{name}.ckpt"
        if not checkpoint.exists():
            make_checkpoint(name, folder)
        key = (name, form, *keys.items())
        if key not in folders:
            out = folder / f"{form}-{len(folders)}"
            folders[key] = fastitpn.export(form, checkpoint, limit=4, out=out, **keys)
        return checkpoint, folders[key]

    return make


def _cut(run: Run, folder: Path) -> Run:
    """A copy of a run whose best checkpoint has the trunk of `SHORT`."""
    shutil.copytree(run.directory, folder)
    path = folder / "checkpoints" / "best.ckpt"
    checkpoint = torch.load(path, weights_only=True)
    checkpoint["model"]["arguments"] |= SHORT
    checkpoint["weights"] = {name: value for name, value in checkpoint["weights"].items() if not _LEFT_OUT.search(name)}
    torch.save(checkpoint, path)
    return Run(folder)
