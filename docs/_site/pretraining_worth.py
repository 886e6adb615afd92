"""The tables of the page on what pre-training is worth, from benchmarks/results."""

import json
from collections.abc import Sequence
from typing import Any

from generated import RESULTS, mean, mean_change, table

ARMS = (
    ("from random weights", "scratch", "short"),
    ("from random weights, three times the steps", "scratch", "long"),
    ("from random weights, equal total time", "scratch", "equal-time"),
    ("pre-trained", "merged", "short"),
    ("pre-trained four times as long", "merged, 4x steps", "short"),
)
PYRAMIDS = (
    ("fine-tuned", "merged", "short"),
    ("fine-tuned, trunk frozen", "merged", "frozen"),
    ("pre-trained four times as long", "merged, 4x steps", "short"),
    ("the same, three times the steps", "merged, 4x steps", "long"),
    ("the same, trunk frozen", "merged, 4x steps", "frozen"),
)


def scenes() -> str:
    """What every way reached on composed scenes."""
    summary = _summary("pretraining_quality")
    rows = []
    for title, arm, schedule in ARMS:
        cells = [_row(summary, task=task, arm=arm, schedule=schedule) for task in ("segment", "classify")]
        rows.append((title, *(f"{cell['test']:.1f}" if cell else "" for cell in cells)))
    return table(("", "segmentation, mean IoU", "classification, top-1"), rows)


def pyramids() -> str:
    """What the pre-trained pyramid is worth over a fresh one on the same trunk, on composed scenes."""
    summary = _summary("pretraining_quality")
    rows = []
    for title, arm, schedule in PYRAMIDS:
        row = _row(summary, task="segment", arm=arm, schedule=schedule)
        assert row is not None
        rows.append((title, row["runs"], mean_change(row["over fresh pyramid"])))
    return table(("", "runs", "mean IoU over a fresh pyramid"), rows)


def photographs() -> str:
    """What was measured on photographs so far."""
    if not (RESULTS / "photographs.json").is_file():
        return "No row of it is stored yet."
    summary, parts = _summary("photographs"), []
    names = ("over scratch", "over scratch, 3x steps", "over scratch, equal time", "over merged", "over fresh pyramid")
    titles = {"camvid": "CamVid, mean IoU", "bccd": "BCCD, box AP50"}
    for data, labelled in dict.fromkeys((row["data"], row["labelled"]) for row in summary):
        group = [row for row in summary if (row["data"], row["labelled"]) == (data, labelled)]
        columns = [name for name in names if any(name in row for row in group)]
        rows = [
            (
                f"{row['arm']}, {row['schedule']}",
                row["seeds"],
                mean(row["test"]),
                *(mean_change(row[name]) if name in row else "" for name in columns),
            )
            for row in group
        ]
        head = ("arm, schedule", "seeds", "test", *columns)
        parts.append(f"**{titles[data]}, {labelled} labelled images**\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def checkerboard() -> str:
    """Where the variance of the levels lies."""
    stored = json.loads((RESULTS / "checkerboard.json").read_text(encoding="utf-8"))
    kinds = ("place", "patch", "kernel", "detail")
    rows = [
        (f"{row['level'].removeprefix('stride')}, {row['network']}", *(f"{row[kind]:.0f} %" for kind in kinds))
        for row in stored["rows"]
    ]
    return table(("stride, network", *kinds), rows)


def _summary(name: str) -> list[dict[str, Any]]:
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    summary: list[dict[str, Any]] = content["summary"]
    return summary


def _row(summary: Sequence[dict[str, Any]], **keys: str) -> dict[str, Any] | None:
    return next((row for row in summary if keys.items() <= row.items()), None)
