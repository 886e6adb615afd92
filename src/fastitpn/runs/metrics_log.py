"""metrics.jsonl: one row of figures a line."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastitpn.files import append_line, write_text
from fastitpn.json_text import from_json


def append_row(path: Path, row: Mapping[str, Any]) -> None:
    """Adds a row, handed over to the system at once, so that it outlives the process."""
    append_line(path, _line(row))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """All whole rows; a line that was cut off or damaged is left out. No rows if there is no file."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = from_json(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int) and isinstance(row.get("split", ""), str):
            rows.append(row)
    return rows


def drop_rows_after(path: Path, step: int) -> None:
    """Forgets what was logged after `step`, because the run goes on from there."""
    if path.is_file():
        write_text(path, "".join(f"{_line(row)}\n" for row in read_rows(path) if row["step"] <= step))


def _line(row: Mapping[str, Any]) -> str:
    """JSON has no nan and no infinity: they are written as null."""
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()
    }
    return json.dumps(finite, allow_nan=False)
