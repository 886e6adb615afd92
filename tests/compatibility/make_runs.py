"""Makes what lies in `runs`, with the code as it was before the source was rearranged.

    cd tests/compatibility && PYTHONPATH=EARLIER_CLONE/src OMP_NUM_THREADS=1 python make_runs.py

What is stored are files that a run wrote, unchanged but for their compression (xz; more than a third of so small a
checkpoint are names and padding):

- of every run but panoptic_deep `config.yaml` and `final_best.ckpt`, which is `checkpoints/best.ckpt` of the finished
  run: to evaluate, to predict, to export, to start from;
- of pretrain, classify, segment_linear and faster_rcnn also the state "interrupted after step 3 of 6": `last.ckpt`,
  which is `checkpoints/previous.ckpt` of the finished run, and the rows of `metrics.jsonl` up to there. With the
  optimiser it is three times as large; the other runs are instead made again from their start, and compared;
- of panoptic_deep no file. Mask2former has 6 and 9 layers, which no key of panoptic segmentation changes, and takes 1.2
  MB at its least width. It is made again and compared with sums over its weights. What is stored as panoptic has one
  layer each: the earlier code wrote it, given these two arguments of the head in place of what it takes without;
- in `expected.json` the figures, evaluations and predictions of the finished runs.

The data are not stored: `shapes.make_data` makes them anywhere.
"""

import contextlib
import importlib
import json
import lzma
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from earlier_runs import EXPECTED, INTERRUPTED, RUNS, STORED, EarlierRun, features, sums, weights
from micro import register_micro
from shapes import make_data

import fastitpn


def main() -> None:
    """Makes all runs in a temporary folder, and replaces what is stored."""
    register_micro()
    shutil.rmtree(STORED, ignore_errors=True)
    found = {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        make_data(Path("data"))
        for run in RUNS.values():
            with _layers(run.layers):
                made = run.start()
            best = made.metrics.get("best_step")
            assert best in (None, run.keys["steps"]), f"{run.name}: the best is of step {best}, and not the last"
            found[run.name] = _about(run, made)
            if run.stored:
                _store(run, made)
    EXPECTED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    files = [path for path in STORED.rglob("*") if path.is_file()]
    print(f"{sum(path.stat().st_size for path in files)} bytes in {len(files)} files in {os.path.relpath(STORED)}")


def _about(run: EarlierRun, made: fastitpn.Run) -> dict[str, Any]:
    checkpoint = made.best_checkpoint
    assert checkpoint is not None
    about: dict[str, Any] = {"metrics": made.metrics}
    if run.task == "pretrain":
        about["features"] = features(checkpoint)
    elif run.stored:
        about |= {"evaluation": run.evaluation(checkpoint), "predictions": run.predictions(checkpoint)}
    if not run.stored:
        about["sums"] = sums(weights(checkpoint))
    return _rounded(about)


def _store(run: EarlierRun, made: fastitpn.Run) -> None:
    folder = STORED / run.name
    folder.mkdir(parents=True)
    shutil.copy(made.directory / "config.yaml", folder)
    checkpoints = made.directory / "checkpoints"
    _pack(checkpoints / "best.ckpt", folder / "final_best.ckpt.xz")
    if run.resumable:
        _pack(checkpoints / "previous.ckpt", folder / "last.ckpt.xz")
        lines = (made.directory / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        early = [line for line in lines if json.loads(line)["step"] <= INTERRUPTED]
        (folder / "metrics.jsonl").write_text("".join(early), encoding="utf-8")


def _pack(path: Path, to: Path) -> None:
    to.write_bytes(lzma.compress(path.read_bytes(), preset=9 | lzma.PRESET_EXTREME))


@contextlib.contextmanager
def _layers(count: int | None) -> Iterator[None]:
    """Gives mask2former that many layers of both kinds, in the earlier code alone; None leaves them as they are."""
    if count is None:
        yield
        return
    module = importlib.import_module("fastitpn.engine.finetune_segment")
    own = module._head_arguments
    fewer = {"encoder_layers": count, "decoder_layers": count}
    with mock.patch.object(module, "_head_arguments", lambda *about: own(*about) | fewer):
        yield


def _rounded(value: Any) -> Any:
    """Six digits are more than another processor would agree with."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
