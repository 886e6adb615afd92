"""Which tokens should leave: the criteria of token migration at equal speed, on trained networks of any task.

    python -m benchmarks.token_arena runs=RUN,RUN,RUN data=FOLDER [key=value ...]

Criteria cost differently much, so equal shares of tokens are no fair comparison. All criteria are first timed with
several shares, in rounds in which all take turns; each then gets the share with which it is as fast as `bipartite` with
`keep_ratio`. What it loses against the plain model is measured on the same images, without any training, and its 90 %
interval is that of the paired bootstrap (`fastitpn.tuning.loss`). Give a run for each seed. What is done is kept in
`out`: the same command typed again goes on where it stopped.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import start
from benchmarks.harness.results import Results, Row
from benchmarks.harness.summary import over_seeds
from fastitpn.config.types import Count, Factor, ImagePx, Positive, Share
from fastitpn.data.images.reading import reads_images
from fastitpn.models.acceleration.criteria.registry import CRITERIA
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.runs.trained_model import TrainedCheckpoint, open_checkpoint
from fastitpn.tasks.keys import EvaluateConfig
from fastitpn.tasks.registry import TASKS
from fastitpn.training.config import DeviceConfig
from fastitpn.tuning.speed import Speed
from fastitpn.tuning.subject import open_subject

REFERENCE = "bipartite"
SHARES = (0.15, 0.25, 0.35, 0.45, 0.6)
"""Shares with which each criterion is timed; between them its speed is taken to be straight."""
IDENTITY = ("run", "criterion")


@dataclass(frozen=True, kw_only=True)
class Options(DeviceConfig, AnyOptions):
    """Criteria."""

    _unwritten = ("out", "workers")

    runs: tuple[Path, ...]
    """Runs or checkpoints of one task, such as one for each seed."""
    data: Path
    """Labelled images, as for evaluate."""
    split: Literal["train", "val", "test"] | None = None
    """Part of data; none takes val if there is one."""
    px: ImagePx | None = None
    """Side of the input in pixels; none takes the checkpoint's."""
    batch: Count = 16
    """Images in one batch."""
    keep_ratio: Factor = 0.4
    """Share of the tokens that stay with bipartite, whose speed all others get."""
    after: Share = 0.25
    """Share of the blocks after which tokens leave."""
    seconds: Positive = 2.0
    """Time to measure each speed, about."""


def setting(options: Options, criterion: str, keep_ratio: float) -> Acceleration:
    """Migration alone."""
    migration = Migration(keep_ratio=keep_ratio, after_blocks=(options.after,), metric=criterion, replenish="residual")
    return Acceleration(name="arena", migration=migration)


def equal_share(wanted: float, shares: Iterable[float], ratios: Iterable[float]) -> float:
    """The share of the tokens at which a criterion is as fast as wanted, within those that were timed."""
    listed = sorted(zip(ratios, shares, strict=True))
    return float(np.interp(wanted, [ratio for ratio, _ in listed], [share for _, share in listed]))


def measure(options: Options, run: Path) -> list[Row]:
    """A row for each criterion."""
    checkpoint = open_checkpoint(run)
    look = {name: getattr(options, name) for name in ("data", "split", "px", "batch", "device", "precision", "workers")}
    keys = TASKS.keys_for("evaluate", checkpoint.task, checkpoint.path)(checkpoint=run, **look)
    return _measure(keys, options, checkpoint)


@reads_images
def _measure(keys: EvaluateConfig, options: Options, checkpoint: TrainedCheckpoint) -> list[Row]:
    subject = open_subject(checkpoint, keys, seed=0)
    quality, meter = subject.quality, subject.eager_speed()
    timed = [(name, share) for name in CRITERIA for share in (*SHARES, options.keep_ratio)]
    speeds = dict(zip(timed, meter.measure([setting(options, *one) for one in timed], options.seconds), strict=True))
    wanted = ratio_of(speeds[REFERENCE, options.keep_ratio])
    shares = {}
    for name in CRITERIA:
        ratios = [ratio_of(speeds[name, share]) for share in SHARES]
        shares[name] = options.keep_ratio if name == REFERENCE else round(equal_share(wanted, SHARES, ratios), 3)
    settings = [setting(options, name, share) for name, share in shares.items()]
    rows = []
    for (name, share), speed, chosen in zip(
        shares.items(), meter.measure(settings, options.seconds), settings, strict=True
    ):
        loss = quality.loss(chosen, quality.num_images)
        row: Row = {
            "run": str(keys.checkpoint),
            "task": checkpoint.task,
            "metric": quality.metric.name,
            "criterion": name,
        }
        row |= {"keep_ratio": share, "speed": round(ratio_of(speed), 3), "images": loss.images}
        figures = {"value": loss.value, "points": loss.points, "low": loss.low, "high": loss.high}
        rows.append(row | {key: None if value is None else round(value, 3) for key, value in figures.items()})
    return rows


def ratio_of(speed: Speed | None) -> float:
    """Speed over the plain model's; PyTorch runs all settings."""
    assert speed is not None
    return speed.ratio


def summarise(rows: list[Row]) -> dict[str, Any]:
    """Points lost by each criterion, over the runs."""
    names = dict.fromkeys(row["criterion"] for row in rows)
    return {name: over_seeds(row["points"] for row in rows if row["criterion"] == name) for name in names}


def run(options: Options) -> None:
    """Measures each run that is not done yet; prints and stores the figures."""
    scale = {"scale": "networks of the runs as they are, tokens only switched on; one image at a time"}
    results = Results(options, lambda rows: {**scale, "summary": summarise(rows)}, identity=IDENTITY)
    for path in options.runs:
        if not results.has(str(path), REFERENCE):
            for row in measure(options, path):
                results.add(row)
    results.finish()


if __name__ == "__main__":
    start(Options, run)
