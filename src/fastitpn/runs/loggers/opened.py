"""The loggers of a run: opened where it begins or goes on, so that no row is there twice."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastitpn.files import write_text
from fastitpn.json_text import from_json
from fastitpn.runs.loggers.base import LoggedRun, MetricsLogger
from fastitpn.runs.loggers.registry import LOGGERS

FILE = "loggers.json"
"""In the run's folder: what each logger calls the run, and the last row that it was sent before a run went on."""

logger = logging.getLogger("fastitpn")

Row = Mapping[str, Any]


def check_loggers(names: Iterable[str]) -> None:
    """Make sure that loggers can be used, before anything else is done.

    Raises:
        InputError: A package or a login is missing.
    """
    for name in names:
        LOGGERS[name].check_access()


class Loggers:
    """The loggers of a run.

    Args:
        names: Names of `LOGGERS`.
        directory: Folder of the run.
        config: Dotted keys of the run and their values.
        step: Where the run begins or goes on.
        history: Rows of its log up to that step.
        before: Rows of its log before those after that step were dropped.

    Raises:
        InputError: A package is missing, or a service refuses.
    """

    def __init__(
        self,
        names: Sequence[str],
        directory: Path,
        config: Mapping[str, Any],
        *,
        step: int,
        history: Sequence[Row],
        before: Sequence[Row],
    ):
        self._open: dict[str, MetricsLogger] = {}
        self._sent: dict[str, list[list[Any]]] = {}
        known = _read(directory / FILE)
        for name in names:
            entry = known.get(name, {})
            run = LoggedRun(
                directory=directory,
                title=directory.absolute().name,
                config=config,
                step=step,
                mark=entry.get("mark", ""),
            )
            opened = LOGGERS[name](run)
            self._open[name] = opened
            if not opened.forgets:
                self._sent[name] = _last([*entry.get("sent", []), *(_places(before) if entry else [])])
                known[name] = {"mark": opened.mark, "sent": self._sent[name]}
            for row in history if opened.begins else ():
                self._write(name, row)
        if known:
            write_text(directory / FILE, json.dumps(known) + "\n")

    def write(self, row: Row) -> None:
        """Hand a row to those that have not had it before the run went on."""
        for name in [name for name in self._open if not self._has(name, row)]:
            self._write(name, row)

    def close(self, *, complete: bool) -> None:
        """End all of them."""
        for name, opened in tuple(self._open.items()):
            with self._surviving(name):
                opened.close(complete=complete)
        self._open.clear()

    def _has(self, name: str, row: Row) -> bool:
        sent = self._sent.get(name, [])
        return bool(sent) and (row["step"] < sent[0][0] or [row["step"], row["split"]] in sent)

    def _write(self, name: str, row: Row) -> None:
        if name in self._open:
            with self._surviving(name):
                self._open[name].write(row)

    @contextmanager
    def _surviving(self, name: str) -> Iterator[None]:
        """If a logger fails, that is said once, and the training goes on without it."""
        try:
            yield
        except Exception as error:
            del self._open[name]
            logger.warning("logger=%s failed, and the run goes on without it: %s", name, error)


def _places(rows: Sequence[Row]) -> list[list[Any]]:
    """Step and split of rows."""
    return [[row["step"], row["split"]] for row in rows]


def _last(places: Sequence[list[Any]]) -> list[list[Any]]:
    """Those of the highest step."""
    highest = max((step for step, _ in places), default=None)
    return [place for place in places if place[0] == highest]


def _read(path: Path) -> dict[str, Any]:
    try:
        known: dict[str, Any] = from_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known
