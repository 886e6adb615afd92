"""One export of each kind, made once."""

from pathlib import Path

import pytest

import fastitpn


@pytest.fixture(scope="session")
def classifier_onnx(classifier_run, tmp_path_factory) -> Path:
    """The classifier as ONNX, for any number of images of any size; read only."""
    return fastitpn.export(
        "onnx", classifier_run.directory, dynamic="all", out=tmp_path_factory.mktemp("export") / "classifier"
    )


@pytest.fixture(scope="session")
def segmenter_onnx(segmenter_run, segment_scenes, tmp_path_factory) -> Path:
    """The segmentation network as ONNX, measured on its data; read only."""
    out = tmp_path_factory.mktemp("export") / "segmenter"
    return fastitpn.export("onnx", segmenter_run.directory, data=segment_scenes, out=out, px=48, width=64)


@pytest.fixture(scope="session")
def pyramid_onnx(pretrained_run, tmp_path_factory) -> Path:
    """The pre-trained pyramid as ONNX, for two images at a time; read only."""
    out = tmp_path_factory.mktemp("export") / "pyramid"
    return fastitpn.export("onnx", pretrained_run.directory, dynamic="off", batch=2, out=out)
