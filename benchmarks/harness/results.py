"""The rows of a benchmark: printed, written down, and not measured twice."""

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.environment import describe_machine
from benchmarks.harness.options import Options, command_of
from fastitpn.config import parse
from fastitpn.errors import InputError
from fastitpn.files import write_text

Row = dict[str, Any]


class Results:
    """Rows, and the file that `out=` names.

    Args:
        options: Of the benchmark.
        describe: From all rows to what the file says beside them: `scale`, `summary` and the like.
        identity: Keys that tell rows apart: those of the file are kept. Without keys, as where a speed is a ratio
            within one run, all rows are measured again.
        device: What they are measured on.

    Raises:
        InputError: The rows of the file were measured with other options.
    """

    def __init__(
        self,
        options: Options,
        describe: Callable[[list[Row]], dict[str, Any]] = lambda rows: {},
        *,
        identity: Sequence[str] = (),
        device: str = "cpu",
    ):
        self.options, self.describe, self.identity, self.device = options, describe, identity, device
        self.stored: dict[str, Any] = {}
        if identity and options.out is not None and options.out.is_file():
            self.stored = read_results(options.out, type(options), command_of(options))
        self.rows: list[Row] = self.stored.get("rows", [])

    def has(self, *identity: Any) -> bool:
        """Whether there is a row with these values of the keys `identity`."""
        return identity in self.by_identity()

    def by_identity(self) -> dict[tuple[Any, ...], Row]:
        """Rows by the values of the keys `identity`."""
        return {tuple(row[key] for key in self.identity): row for row in self.rows}

    def add(self, row: Row) -> None:
        """Prints the row, and writes it down if it is one to keep."""
        self.rows.append(row)
        print(json.dumps(row), flush=True)
        if self.identity:
            self._write()

    def finish(self) -> None:
        """Writes the file, and prints the summary."""
        if "summary" in (description := self.describe(self.rows)):
            print(json.dumps(description["summary"], indent=1))
        self._write()

    def _write(self) -> None:
        if self.options.out is not None:
            beside = {**describe_machine(self.device), **self.describe(self.rows)}
            write_json(self.options.out, {"command": command_of(self.options), **beside, "rows": self.rows})


def read_results(path: Path, options_class: type[Options], command: str | None = None) -> dict[str, Any]:
    """A file of results, whose command has to be `command`, if that is given.

    Raises:
        InputError: It has rows of another benchmark or of other options.
    """
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    _, _, script, *words = shlex.split(stored["command"])
    written = command_of(parse(options_class, words))
    if script != written.split()[2] or written != (command or written):
        raise InputError(
            "the results were measured with other options",
            where=path,
            expected=f"rows of: {command or written.split()[2]}; they are of: {stored['command']}",
            fix="out=ANOTHER_FILE, or move this one away",
        )
    return stored


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replaces a file, whose folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1) + "\n")


def once(path: Path, options: Options, measure: Callable[[], Row], **expected: Any) -> Row:
    """The row in a file, if it was measured with these options and has what is expected; else it is made anew."""
    command = command_of(options)
    if path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored.get("command") == command and expected.items() <= stored["row"].items():
            row: Row = stored["row"]
            return row
    row = measure()
    write_json(path, {"command": command, "row": row})
    return row
