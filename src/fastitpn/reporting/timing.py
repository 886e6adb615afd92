"""How long things took, for a report."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastitpn.reporting.sections import Facts
from fastitpn.reporting.values import format_duration, format_value


def training_time(history: Iterable[Mapping[str, Any]], images_per_step: int) -> dict[str, str]:
    """What the rows of a training tell of its speed; nothing if they have none of it.

    Args:
        history: Rows of metrics.jsonl, in order of step.
        images_per_step: Images of one step on all devices together.
    """
    seconds, waited, memory, images, last = 0.0, 0.0, 0.0, 0, 0
    for row in history:
        if row.get("split") != "train" or not row.get("images_per_s"):
            continue
        seen = (row["step"] - last) * images_per_step
        last, images = row["step"], images + seen
        seconds += seen / row["images_per_s"]
        waited += seen / row["images_per_s"] * row.get("data_wait_ratio", 0.0)
        memory = max(memory, row.get("memory_mib", 0.0))
    if not seconds:
        return {}
    facts = {
        "training": f"{format_duration(seconds)} for {last:,} steps",
        "images per second": format_value(images / seconds),
        "waiting for data": f"{waited / seconds:.0%} of it",
    }
    return facts | {"peak memory": f"{memory / 1024:.1f} GiB"} if memory else facts


def evaluation_time(seconds: float, images: int) -> dict[str, str]:
    """How long an evaluation took; nothing if it was not measured."""
    if not seconds:
        return {}
    return {"evaluation": f"{format_duration(seconds)} for {images:,} images ({images / seconds:.3g} a second)"}


def timing_section(*facts: Mapping[str, str]) -> list[Facts]:
    """A section of all that is known, or none."""
    known = {name: text for part in facts for name, text in part.items()}
    return [Facts("Timing", known)] if known else []
