"""Runs and checkpoints that were written before the source was rearranged: all that could be done with them still can.

`make_runs.py` says what is stored. The same processor gives the same numbers to the bit; the tolerances are for others
with AVX2. On all others the runs must do the same, but may arrive at other numbers: AdamW makes a whole step of a
gradient that is nothing but rounding, and where boxes are almost as good, another one is kept.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from earlier_runs import RUNS, EarlierRun, expected, features, shortened, sums, weights
from micro import MICRO, register_micro
from shapes import make_data
from sizes import forget_size
from torch import Tensor

import fastitpn

COMPARABLE = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
"""Whether this processor computes about as the one on which the runs were made."""
RELATIVE = 1e-3
POINTS = 0.5
"""Percentages may differ by so much: a pixel or a box of another class."""

OF_THE_WAY = 2e-2
"""Distance of weights, as a share of the way that they went."""

FILES = {"onnx": "model.onnx", "torchscript": "model.pt"}

RESUMABLE = [run for run in RUNS.values() if run.resumable]
FROM_START = [run for run in RUNS.values() if not run.resumable and run.layers is None and run.repeatable]
STORED = [run for run in RUNS.values() if run.stored]
TRAINED = [run for run in STORED if run.task != "pretrain"]
EXPORTED = [(run, form) for run in STORED for form in run.forms]


def name(value: EarlierRun | str) -> str:
    return value if isinstance(value, str) else value.name


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with the data in it."""
    register_micro()
    make_data(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)
    forget_size(MICRO)


@pytest.mark.parametrize("run", RESUMABLE, ids=name)
def test_an_interrupted_run_goes_on(run: EarlierRun, folder: Path):
    if run.task != "pretrain":
        RUNS["pretrain"].put(folder)
    out = run.put(folder, interrupted=True)
    before = weights(out / "checkpoints" / "last.ckpt")
    rows = (out / "metrics.jsonl").read_text()
    assert len(rows.splitlines()) >= 3

    resumed = run.start()

    assert resumed.complete
    assert (out / "metrics.jsonl").read_text().startswith(rows)
    assert [row["step"] for row in resumed.history if row["split"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert "step 1 " not in (out / "log.txt").read_text()
    assert (out / "report.html").is_file()
    compare(resumed.metrics, expected()[run.name]["metrics"])
    known = final(run, folder)
    for checkpoint in (resumed.last_checkpoint, resumed.best_checkpoint):
        far = distance(weights(checkpoint), known, before)
        assert far < OF_THE_WAY or not COMPARABLE


@pytest.mark.parametrize("run", FROM_START, ids=name)
def test_the_same_run_again_is_the_same(run: EarlierRun, folder: Path):
    """Those whose interrupted state is too large to be stored: nothing that training draws or computes has changed."""
    RUNS["pretrain"].put(folder)

    again = run.start()

    compare(again.metrics, expected()[run.name]["metrics"])
    found = weights(again.best_checkpoint)
    if run.stored:
        far = distance(found, final(run, folder))
    else:
        known = {key: torch.tensor(value) for key, value in expected()[run.name]["sums"].items()}
        far = distance({key: torch.tensor(value) for key, value in sums(found).items()}, known)
    assert far < RELATIVE or not COMPARABLE


def test_the_features_of_a_pre_training(folder: Path):
    run = RUNS["pretrain"]
    found = features(run.put(folder))
    for level, known in zip(found, expected()[run.name]["features"], strict=True):
        assert level == pytest.approx(known, rel=RELATIVE, abs=1e-5)


@pytest.mark.parametrize("run", TRAINED, ids=name)
def test_evaluation(run: EarlierRun, folder: Path):
    compare(run.evaluation(run.put(folder)), expected()[run.name]["evaluation"])


@pytest.mark.parametrize("run", TRAINED, ids=name)
def test_prediction(run: EarlierRun, folder: Path):
    """From the run's folder by the verb, and from its checkpoint in Python."""
    out = run.put(folder)
    known = expected()[run.name]["predictions"]
    compare(run.predictions(out), known)
    predictor = fastitpn.load(out / "checkpoints" / "best.ckpt", device="cpu", precision="32-true")
    more = {"min_score": 0} if run.task == "detect" else {}
    compare([shortened(one) for one in predictor(f"data/{run.data}/{run.pictures}", **more)], known)


@pytest.mark.parametrize(("run", "form"), EXPORTED, ids=name)
def test_export(run: EarlierRun, form: str, folder: Path):
    """A file is compared with the model by `export` itself before it is kept; other weights are loaded again here."""
    source = run.put(folder)
    if form == "official":
        file = fastitpn.export(form, source, out="official.pt")
        model = fastitpn.create_model(MICRO, pyramid=run.task == "pretrain", img_size=32, num_classes=3)
        assert fastitpn.load_weights(model, file).ok
        return
    fixed = {"dynamic": "off" if form == "onnx" and run.task == "detect" else "batch"}
    out = fastitpn.export(form, source, out="export", limit=2, **fixed)
    if form in FILES:
        assert (out / FILES[form]).is_file()
        assert json.loads((out / "model.json").read_text())["task"] == (
            "features" if run.task == "pretrain" else run.task
        )
    elif run.task == "pretrain":
        assert features(out) == features(source)
    elif run.task == "classify":
        model = fastitpn.create_model(MICRO, img_size=32, num_classes=3)
        assert fastitpn.load_weights(model, out).ok
    else:
        compare(run.predictions(out), expected()[run.name]["predictions"])


def final(run: EarlierRun, folder: Path) -> dict[str, Tensor]:
    """The last weights that the earlier code arrived at."""
    return weights(run.put(folder / "finished") / "checkpoints" / "best.ckpt")


def distance(
    found: Mapping[str, Tensor], known: Mapping[str, Tensor], before: Mapping[str, Tensor] | None = None
) -> float:
    """How far weights are from known ones, as a share of how far those are from earlier ones, or of their size."""
    assert list(found) == list(known)  # also in this order, which is the optimiser's
    start = before or {key: torch.zeros_like(one) for key, one in known.items()}
    return float(_norm(found, known) / _norm(known, start))


def _norm(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> Tensor:
    return torch.stack([(one[key].double() - other[key].double()).square().sum() for key in one]).sum().sqrt()


def compare(found: Any, known: Any, where: str = "") -> None:
    """Nested values: figures within the tolerance, all else equal."""
    if isinstance(known, dict):
        assert list(found) == list(known), where
        for key in known:
            compare(found[key], known[key], f"{where}/{key}")
    elif isinstance(known, list):
        assert len(found) == len(known) or not COMPARABLE, where
        for place, (one, other) in enumerate(zip(found, known, strict=COMPARABLE)):
            compare(one, other, f"{where}/{place}")
    elif not COMPARABLE:
        assert type(found) is type(known), where
    elif isinstance(known, float):
        percent = known > 1 and "loss" not in where
        assert found == pytest.approx(known, rel=RELATIVE, abs=POINTS if percent else RELATIVE), where
    else:
        assert found == known, where
