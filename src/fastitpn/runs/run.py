"""A run directory, to read: what was asked for, what came of it, and where its checkpoints are."""

import functools
import html
import re
from os import PathLike
from pathlib import Path
from typing import Any

import yaml

from fastitpn.errors import InputError
from fastitpn.json_text import from_json
from fastitpn.runs.checkpoint import BEST, LAST, PREVIOUS
from fastitpn.runs.metrics_log import read_rows
from fastitpn.yaml_files import Values, check_size

CONFIG, RESULT, METRICS, LOG, CHECKPOINTS = "config.yaml", "result.json", "metrics.jsonl", "log.txt", "checkpoints"
REPORT = "report.html"


class Run:
    """What one `pretrain` or `finetune` left behind, or has written so far.

    Args:
        directory: The run's `out`.

    Attributes:
        directory: Folder of the run.

    Raises:
        InputError: There is no run in that folder.
    """

    def __init__(self, directory: str | PathLike[str]):
        self.directory = Path(directory)
        if not (self.directory / CONFIG).is_file():
            raise InputError(
                "this is not a run directory", where=self.directory, expected=f"a folder with a {CONFIG}, as runs write"
            )

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """Every key of the run, as resolved when it began."""
        path = self.directory / CONFIG
        try:
            check_size(path)
            config = Values(path.read_text(encoding="utf-8")).get_single_data() or {}
            if not isinstance(config, dict):
                raise ValueError("keys and their values")
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise InputError("the settings of the run cannot be read", where=path, expected=str(error)) from error
        return config

    @functools.cached_property
    def verb(self) -> str:
        """The command of the run, such as `finetune classify`; "" if the first line of the settings was edited away."""
        first = (self.directory / CONFIG).read_text(encoding="utf-8", errors="replace").partition("\n")[0]
        match = re.match(r"#.*fastitpn (\w[\w ]*) recipe=", first)
        return match[1] if match else ""

    @property
    def complete(self) -> bool:
        """Whether the run reached its last step."""
        return (self.directory / RESULT).is_file()

    @property
    def metrics(self) -> dict[str, Any]:
        """The final figures; before the run is complete, those of the last evaluation."""
        if self.complete:
            path = self.directory / RESULT
            try:
                figures: dict[str, Any] = from_json(path.read_text(encoding="utf-8"))
                if not isinstance(figures, dict):
                    raise ValueError("it is no object")
            except (OSError, ValueError) as error:
                raise InputError(
                    f"the final metrics of the run cannot be read: {error}",
                    where=path,
                    expected="what the end of a run wrote",
                    fix=f"rm {path}, and type the command of the run again: it writes them anew",
                ) from error
            return figures
        rows = [row for row in self.history if row.get("split") == "val"]
        return {key: value for key, value in rows[-1].items() if key not in ("step", "epoch", "split")} if rows else {}

    @property
    def history(self) -> list[dict[str, Any]]:
        """The rows of `metrics.jsonl`: each has a step, an epoch, and a split ("train", "val" or "skipped")."""
        return read_rows(self.directory / METRICS)

    @property
    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint; it can be resumed from. None before the first."""
        return self._first_of(LAST, PREVIOUS)

    @property
    def best_checkpoint(self) -> Path | None:
        """The checkpoint of the best evaluation, or of the end without any. None before the first."""
        return self._first_of(BEST)

    def _first_of(self, *names: str) -> Path | None:
        paths = (self.directory / CHECKPOINTS / name for name in names)
        return next((path for path in paths if path.is_file()), None)

    def _repr_html_(self) -> str:
        """The metrics as a table with a link to the report, in a notebook."""
        rows = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{value:.4g}</td></tr>"
            for name, value in self.metrics.items()
            if isinstance(value, float)
        )
        report = self.directory / REPORT
        link = f'<p><a href="{html.escape(str(report))}">{REPORT}</a></p>' if report.is_file() else ""
        state = "complete" if self.complete else "not complete"
        words = ", ".join(filter(None, [str(self.directory), self.verb, state]))
        return f"<p>{html.escape(words)}</p><table>{rows}</table>{link}"

    def __repr__(self) -> str:
        figures = [f"{name}={value:.4g}" for name, value in self.metrics.items() if isinstance(value, float)]
        state = "complete" if self.complete else "not complete"
        return f"Run({str(self.directory)!r}, {', '.join([self.verb, state, *figures]).lstrip(', ')})"
