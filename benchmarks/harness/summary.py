"""Many figures in a few: means with their range, and differences and ratios of what belongs together."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

Key = TypeVar("Key")
Row = dict[str, Any]


def mean_and_spread(values: Iterable[float]) -> dict[str, Any]:
    """Mean, and the lowest and highest, to two digits."""
    listed = list(values)
    return {"mean": round(statistics.mean(listed), 2), "spread": [round(min(listed), 2), round(max(listed), 2)]}


def over_seeds(values: Iterable[float]) -> dict[str, Any]:
    """The same, and how many seeds there are."""
    listed = list(values)
    return {**mean_and_spread(listed), "seeds": len(listed)}


def each_over_seeds(figures: Iterable[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """By the name of the figure; a mapping for each seed, all with the same names."""
    listed = list(figures)
    return {name: over_seeds(of_seed[name] for of_seed in listed) for name in listed[0]}


def by_arm(rows: Iterable[Row]) -> dict[str, dict[int, Row]]:
    """Rows by their arm, then by their seed."""
    arms: dict[str, dict[int, Row]] = {}
    for row in rows:
        arms.setdefault(row["arm"], {})[row["seed"]] = row
    return arms


def pairs_of_arms(
    rows: Iterable[Row], compared: Mapping[str, tuple[str, str]]
) -> dict[str, dict[int, tuple[Row, Row]]]:
    """Rows of two arms with the same seed, by title and seed; titles that no seed has are left out."""
    arms = by_arm(rows)
    pairs = {
        title: {
            seed: (row, arms[other][seed]) for seed, row in arms.get(arm, {}).items() if seed in arms.get(other, {})
        }
        for title, (arm, other) in compared.items()
    }
    return {title: of_seed for title, of_seed in pairs.items() if of_seed}


def paired_differences(values: Mapping[Key, float], others: Mapping[Key, float]) -> dict[Key, float]:
    """What a value is above the other one with the same key, where there are both."""
    return {key: value - others[key] for key, value in values.items() if key in others}


def speed_up(plain: Sequence[float], times: Sequence[float], digits: int = 3) -> tuple[float, list[float]]:
    """Median and range, over rounds, of the ratio within a round: seconds of the plain arm over those of another."""
    ratios = [before / after for before, after in zip(plain, times, strict=True)]
    return round(statistics.median(ratios), digits), [round(min(ratios), digits), round(max(ratios), digits)]


def median_ms(times: Sequence[float]) -> float:
    """Median in milliseconds, of seconds."""
    return round(1e3 * statistics.median(times), 1)
