"""The demo over several seeds: pre-trained against scratch at equal steps and at three times as many (small scale).

    python -m benchmarks.demo [key=value ...]

A seed changes the scenes (which glyphs are held out, and every composition), the start values and the order. The
figures are the top-1 accuracies of the last step.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastitpn
from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import Seeds, start
from benchmarks.harness.results import Results, Row
from benchmarks.harness.summary import mean_and_spread

PRETRAINED, SCRATCH, LONGER = "pre-trained", "from scratch", "from scratch, 3x the steps"
ARMS = {PRETRAINED: "finetuned", SCRATCH: "scratch", LONGER: "scratch-3x"}
"""Folders of their runs."""
SCALE = "fastitpn_nano at 64 px, 3000 scenes without labels, 240 with, 600 to validate on, six classes"
IDENTITY = ("seed",)


@dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """Demo."""

    _unwritten = ("out", "runs", "seeds")

    seeds: Seeds = (0, 1, 2)
    """Each changes the scenes, the start values and the order of the images."""
    runs: Path = Path("runs/bench-demo")
    """Folder for the runs of all seeds."""


def measure(seed: int, folder: Path) -> Row:
    """Runs the demo; one that was interrupted goes on."""
    fastitpn.demo(out=folder, seed=seed)
    return {"seed": seed, **{arm: fastitpn.Run(folder / name).metrics["top1"] for arm, name in ARMS.items()}}


def summarise(rows: Iterable[Row]) -> dict[str, Any]:
    """Of the arms, and of what the pre-trained one gains over the others with the same seed."""
    rows = list(rows)
    arms = {arm: [row[arm] for row in rows] for arm in ARMS}
    gains = {f"gain over {arm}": [row[PRETRAINED] - row[arm] for row in rows] for arm in (SCRATCH, LONGER)}
    return {name: mean_and_spread(values) for name, values in {**arms, **gains}.items()}


def run(options: Options) -> None:
    """Runs the demo for each seed that is not done yet, prints and stores the accuracies."""
    results = Results(options, lambda rows: {"scale": SCALE, "summary": summarise(rows)}, identity=IDENTITY)
    for seed in options.seeds:
        if not results.has(seed):
            results.add(measure(seed, options.runs / str(seed)))
    results.finish()


if __name__ == "__main__":
    start(Options, run)
