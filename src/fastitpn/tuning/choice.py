"""The setting that is chosen of those that were measured: the fastest that loses no more than it may."""

from collections.abc import Callable, Sequence

from fastitpn.errors import InputError
from fastitpn.training.metric import Metric
from fastitpn.tuning.measured import Measured, Row, pareto
from fastitpn.tuning.search import Budget
from fastitpn.tuning.speed import Speedometer

FINAL_S = 2.0
"""Seconds for each setting whose speed is measured at the end."""
MOST_FINAL = 8
PASSES = 10
"""At least, of each: to warm up, and in five rounds."""


def measure_final(
    rows: Sequence[Row],
    speed: Speedometer,
    measured: Measured,
    budget: Budget,
    *,
    max_loss: float,
    seconds: float = FINAL_S,
    trying: Callable[[str], object] = lambda text: None,
) -> None:
    """Measure the speed of the best settings again, all in the same rounds.

    Args:
        rows: What was measured on all images.
        speed: Measures in the runtime that was asked for.
        measured: Gets the speeds.
        budget: Settings for which no time is left stay as they are, but for the first.
        max_loss: Points that may be lost: the fastest settings with no more come first.
        seconds: For each setting, about.
        trying: Is told what is measured next.
    """
    rows = sorted(rows, key=lambda row: -row.ratio)
    allowed = [row for row in rows if row.points <= max_loss]
    ordered = list(dict.fromkeys([*allowed[: MOST_FINAL // 2], *reversed(pareto(rows)), *allowed]))[:MOST_FINAL]
    prepared: list[Row] = []
    longest = 0.0
    each = max(seconds, PASSES * max((row.speed.ms / 1e3 for row in ordered if row.speed is not None), default=0.0))
    for row in ordered:
        if prepared and budget.left < longest + (len(prepared) + 2) * each:
            break
        trying(f"preparing {row.setting.describe()}")
        began = budget.spent
        speed.prepare(row.setting)
        longest = max(longest, budget.spent - began)
        prepared.append(row)
    if not prepared:
        return
    trying(f"speed of the best {len(prepared)}")
    final = speed.measure([row.setting for row in prepared], seconds)
    measured.seconds = budget.spent
    for row, value in zip(prepared, final, strict=True):
        measured.keep(row.setting, speed=value, final=True)


def choose(rows: Sequence[Row], max_loss: float, metric: Metric, *, where: object, images: int, trained: bool) -> Row:
    """The fastest setting that loses at most so many points, and is faster by more than chance.

    Args:
        rows: With their speed and what they lose.
        max_loss: Points that may be lost.
        metric: What was measured.
        where: The data, for messages.
        images: How many images the losses must be from.
        trained: Whether a training has been tried.

    Raises:
        InputError: There is none; names the one that is nearest.
    """
    able = [row for row in rows if row.final and row.speed and row.speed.is_gain and row.measured_on(images)]
    allowed = [row for row in able if row.points <= max_loss]
    if allowed:
        return max(allowed, key=lambda row: row.ratio)
    if not any(row.measured_on(images) for row in rows):
        raise InputError(
            "there was no time to measure what a setting loses",
            where=where,
            expected="more minutes, or fewer images",
            fix="the same command with more minutes, such as minutes=30",
        )
    if not able:
        raise InputError(
            "no setting is faster than the plain model by more than the measurements differ",
            where=where,
            expected="a machine that is at rest, larger images, or more minutes",
            fix="minutes=30, or a larger px",
        )
    speed, loss = min(able, key=lambda row: row.points).known
    more = f"max_loss={loss.points + 0.005:.2f}, or a larger px"
    raise InputError(
        f"no setting that is faster loses at most {max_loss:g} points; the nearest is {speed.describe()} as "
        f"fast and loses {loss.describe(metric)} (nothing was written)",
        where=where,
        expected=f"a loss of at most {max_loss:g}",
        fix=more if trained else f"train=true, or {more}",
    )
