"""Small data and small runs for all tests; the modules that they share lie beside this file."""

import contextlib
import gc
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: pytest runs one process per core as it is
os.fsync = lambda descriptor: None  # no run of a test must outlast a loss of power
gc.disable()  # until all tests are there: what modules make while they are imported stays

if TYPE_CHECKING:
    from fastitpn.data.scenes import SceneSet
    from fastitpn.runs.run import Run

pytest_plugins = ("data_fixtures", "inference_fixtures")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-sizes", action="store_true", help="timm's tests on all models, not on the small ones alone")
    parser.addoption("--fuzz", type=int, help="number of damaged data sets that all commands read; else a few by each")


def pytest_collection_finish() -> None:
    """No collection looks at PyTorch's and the tests' own modules again: a tenth of the time of all tests."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.fixture(autouse=True)
def said() -> Iterator[None]:
    """What is said is printed, as by the command line, so that tests can read it."""
    from fastitpn.console import printing

    with printing():
        yield


@pytest.fixture(autouse=True)
def package_log() -> Iterator[None]:
    """Each test leaves the package's logger as it found it."""
    logger = logging.getLogger("fastitpn")
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


@pytest.fixture(autouse=True)
def charts(request: pytest.FixtureRequest) -> Iterator[None]:
    """Charts are drawn for tests marked `drawn` alone: it takes a third of the time of a small run."""
    from chart_frames import framed

    with contextlib.nullcontext() if request.node.get_closest_marker("drawn") else framed():
        yield


@pytest.fixture(params=["plain", "chunked", "without onednn"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way through the network: at once, 5 patches at a time, and with PyTorch's own matrix product."""
    monkeypatch.setattr("fastitpn.models.layers.chunks.CHUNK_PATCHES", 5 if request.param == "chunked" else 10**9)
    if request.param == "without onednn":
        monkeypatch.setattr("fastitpn.models.layers.onednn.ENABLED", False)
    return request.param


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> "SceneSet":
    """A few real pictures, unlabelled and in three classes; read only."""
    from fastitpn.data.scenes import build_scenes

    folder = tmp_path_factory.mktemp("scenes") / "data"
    return build_scenes(folder, unlabelled=12, train_per_class=4, val_per_class=2, classes=3, px=(40, 56))


@pytest.fixture(scope="session")
def pretrained_run(scenes: "SceneSet", tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """A short pre-training under the moving average; read only."""
    from chart_frames import drawn
    from tiny_runs import TRAINING

    import fastitpn

    with drawn():
        return fastitpn.pretrain(data=scenes.unlabelled, out=tmp_path_factory.mktemp("runs") / "pretrain", **TRAINING)


@pytest.fixture(scope="session")
def classifier_run(scenes: "SceneSet", pretrained_run: "Run", tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """A short fine-tuning of it; read only."""
    from chart_frames import drawn
    from tiny_runs import FINETUNING

    import fastitpn

    out = tmp_path_factory.mktemp("runs") / "classify"
    weights = pretrained_run.directory
    with drawn():
        return fastitpn.finetune("classify", data=scenes.train, val=scenes.val, weights=weights, out=out, **FINETUNING)


@pytest.fixture(scope="session")
def segment_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few real pictures with index masks of a background and three classes; read only."""
    from fastitpn.data.scenes import build_scenes

    folder = tmp_path_factory.mktemp("segment_scenes") / "data"
    build_scenes(folder, forms=("segment",), segment=(10, 5), classes=3, px=(40, 72))
    return folder / "segment"


@pytest.fixture(scope="session")
def panoptic_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few real pictures with segments of three classes of things and two of stuff, as COCO has them; read only."""
    from fastitpn.data.scenes import build_scenes

    folder = tmp_path_factory.mktemp("panoptic_scenes") / "data"
    build_scenes(folder, forms=("panoptic",), panoptic=(10, 5), classes=4, px=(64, 80))
    return folder / "panoptic"


@pytest.fixture(scope="session")
def panoptic_run(panoptic_scenes: Path, pretrained_run: "Run", tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """A short fine-tuning for panoptic segmentation; read only."""
    from chart_frames import drawn
    from tiny_runs import PANOPTIC, shallow_mask2former

    import fastitpn

    out = tmp_path_factory.mktemp("runs") / "panoptic"
    keys = {**PANOPTIC, "weights": pretrained_run.directory, "lr": 2e-3, "steps": 6}
    with shallow_mask2former(), drawn():
        return fastitpn.finetune("segment", data=panoptic_scenes, out=out, **keys)


@pytest.fixture(scope="session")
def detect_scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few real pictures with boxes and masks of three classes, in COCO's format; read only."""
    from fastitpn.data.scenes import build_scenes

    folder = tmp_path_factory.mktemp("detect_scenes") / "data"
    build_scenes(folder, forms=("detect",), detect=(10, 5), classes=3, px=(40, 72))
    return folder / "detect"


@pytest.fixture(scope="session")
def detector_run(detect_scenes: Path, pretrained_run: "Run", tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """A short fine-tuning for detection; read only."""
    from chart_frames import drawn
    from tiny_runs import TRAINING, narrow_rcnn

    import fastitpn

    out = tmp_path_factory.mktemp("runs") / "detect"
    keys = {**TRAINING, "weights": pretrained_run.directory, "lr": 2e-3, "steps": 8}
    with narrow_rcnn(), drawn():
        return fastitpn.finetune("detect", data=detect_scenes, out=out, **keys)


@pytest.fixture(scope="session")
def segmenter_run(segment_scenes: Path, pretrained_run: "Run", tmp_path_factory: pytest.TempPathFactory) -> "Run":
    """A short fine-tuning for segmentation; read only."""
    from chart_frames import drawn
    from tiny_runs import TRAINING

    import fastitpn

    out = tmp_path_factory.mktemp("runs") / "segment"
    keys = {**TRAINING, "weights": pretrained_run.directory, "head": "linear", "lr": 1e-2, "steps": 10, "batch": 8}
    with drawn():
        return fastitpn.finetune("segment", data=segment_scenes, out=out, **keys)
