"""What a benchmark found."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fastitpn.benchmarking.candidates import Candidate
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.reporting.sections import Table
from fastitpn.training.metric import Metric

SPREAD = (0.1, 0.9)
"""Quantiles of the ratios of single rounds that are shown beside their median: the middle 80 %."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One model at one size and batch. What could not be measured is None."""

    model: str
    """Name of one of our models, or of one of timm's."""
    acceleration: str | None
    """Name of one of ours; None for a peer."""
    px: int
    """Side of the input."""
    batch: int
    """Images in one pass."""
    p50_ms: float | None = None
    """Median time of a pass."""
    p90_ms: float | None = None
    """Nine of ten passes took no longer."""
    images_per_s: float | None = None
    """At the median."""
    ratio: float | None = None
    """Speed over that of the plain model: median over rounds of the ratio within a round."""
    ratio_spread: tuple[float, float] | None = None
    """From the 10th to the 90th percentile of these ratios."""
    gflops: float | None = None
    """1e9 operations for one image; a multiply-add is two."""
    memory_mib: float | None = None
    """Peak: weights, input, and the most that a pass holds beside them."""
    peak_share: float | None = None
    """Operations per second of the fastest pass, as a share of the fastest matrix product in the same rounds."""
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """All metrics of the model's task on the labelled images, by name; empty without them."""
    problem: str | None = None
    """Why it did not run."""

    @property
    def plain(self) -> bool:
        """Whether the others are compared with this one."""
        return self.acceleration == "off"

    @property
    def label(self) -> str:
        """Name for people."""
        return self.model if self.plain or self.acceleration is None else f"{self.model} {self.acceleration}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """All rows of one size and batch, which took turns."""

    px: int
    batch: int
    rounds: int
    """In how many rounds."""
    peak_gflops: float
    """The machine's best matrix product in these rounds, in 1e9 operations per second."""
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """Size and batch."""
        return f"{self.px} px, batch {self.batch}"

    def table(self, metric: Metric | None = None) -> Table:
        """For people; what did not run is named below.

        Args:
            metric: Which of a row's metrics to show; None for none.
        """
        columns = ["model", "ratio", "spread", "p50 ms", "p90 ms", "images/s", "GFLOPs", "MiB"]
        columns += ["of peak"]
        if metric is not None:
            columns.append(f"{metric.label} {metric.unit}".rstrip())
        rows: list[list[object]] = []
        for row in self.rows:
            spread = row.ratio_spread
            shown = "" if spread is None or row.plain else f"{spread[0]:.2f}\N{EN DASH}{spread[1]:.2f}"
            cells: list[object] = [row.label, row.ratio, shown, row.p50_ms, row.p90_ms]
            cells += [row.images_per_s, row.gflops, None if row.memory_mib is None else round(row.memory_mib)]
            rows.append([*cells, row.peak_share, *([row.metrics.get(metric.name)] if metric is not None else [])])
        notes = [f"{row.label} did not run: {row.problem}." for row in self.rows if row.problem]
        peak = f"Peak: {self.peak_gflops:,.0f} GFLOP/s. {self.rounds} rounds."
        return Table(self.title, columns, rows, caption=" ".join([peak, *notes]), bars=("of peak",))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Figures of all cases."""

    cases: tuple[Case, ...]
    command: str
    """What repeats it."""
    environment: Mapping[str, str]
    """Machine, versions and date."""
    conditions: Mapping[str, Any]
    """Device, precision, compilation and threads."""
    accelerations: Mapping[str, Acceleration]
    """What each of them was, since presets can change."""
    metrics: tuple[Metric, ...] = ()
    """What the task of the model declares."""

    @property
    def rows(self) -> list[Row]:
        """The rows of all cases."""
        return [row for case in self.cases for row in case.rows]

    @property
    def metric(self) -> Metric | None:
        """What tables and the plot show: the first metric that was measured; None without images."""
        return next((metric for metric in self.metrics if any(metric.name in row.metrics for row in self.rows)), None)

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "command": self.command,
            "environment": dict(self.environment),
            "conditions": dict(self.conditions),
            "accelerations": {name: acceleration.to_dict() for name, acceleration in self.accelerations.items()},
            "cases": [
                {"px": case.px, "batch": case.batch, "rounds": case.rounds, "peak_gflops": round(case.peak_gflops, 1)}
                for case in self.cases
            ],
            "rows": [self._row(row) for row in self.rows],
        }

    def _row(self, row: Row) -> dict[str, Any]:
        fields = dataclasses.asdict(row)
        values = fields.pop("metrics")
        measured = {name: values.get(name) for other in self.rows for name in other.metrics}
        return _rounded({**fields, **measured})


def finish_row(
    candidate: Candidate,
    px: int,
    batch: int,
    *,
    turns: Sequence[Sequence[float]],
    plain_turns: Sequence[Sequence[float]],
    peak_gflops: float,
    gflops: float | None,
    memory_mib: float | None,
) -> Row:
    """A row from the times of a candidate.

    Args:
        candidate: What ran.
        px: Image size in pixels.
        batch: Images in a pass.
        turns: Seconds of each pass, turn by turn.
        plain_turns: Seconds of each pass of the plain model in the same rounds; empty without one.
        peak_gflops: Fastest matrix product of the device in GFLOP/s, see `Case`.
        gflops: Operations for one image, in 10^9; None if they are not known.
        memory_mib: Peak memory in MiB; None if it is not known.
    """
    fastest, p50, p90 = np.quantile(np.concatenate([np.asarray(turn) for turn in turns]), (0, 0.5, 0.9)).tolist()
    ratio = spread = None
    if plain_turns:
        ratios = [np.median(plain) / np.median(times) for plain, times in zip(plain_turns, turns, strict=True)]
        low, ratio, high = np.quantile(ratios, (SPREAD[0], 0.5, SPREAD[1])).tolist()
        spread = (low, high)
    return Row(
        model=candidate.model,
        acceleration=candidate.acceleration_name,
        px=px,
        batch=batch,
        p50_ms=1e3 * p50,
        p90_ms=1e3 * p90,
        images_per_s=batch / p50,
        ratio=ratio,
        ratio_spread=spread,
        gflops=gflops,
        memory_mib=memory_mib,
        peak_share=None if gflops is None else gflops * batch / fastest / peak_gflops,
    )


def _rounded(fields: dict[str, Any]) -> dict[str, Any]:
    """Four digits after the point say more than any of these figures is worth."""
    return {
        name: round(value, 4)
        if isinstance(value, float)
        else [round(item, 4) for item in value]
        if isinstance(value, tuple)
        else value
        for name, value in fields.items()
    }
