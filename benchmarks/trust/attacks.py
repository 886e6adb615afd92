"""A class of attacks, and how they are carried out: in copies of this process, which may be killed."""

import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
"""What the tests damage files with is used here too."""

_BATCH = 200


@dataclass(frozen=True, kw_only=True)
class Attacks:
    """One class.

    Attributes:
        name: Which.
        count: Attacks of the whole catalogue.
        attack: Takes number, seed and a folder of the class; says what went wrong, None if it ended as promised.
        prepare: Called once with that folder, before the first attack.
        seconds: What an attack may take.
    """

    name: str
    count: int
    attack: Callable[[int, int, Path], str | None]
    prepare: Callable[[Path], None] = lambda folder: None
    seconds: float = 300


@dataclass(frozen=True)
class Ended:
    """How a copy of this process ended.

    Attributes:
        code: Its exit code; of a signal, minus its number.
        said: All that it printed.
        peak_mib: Memory at most beyond that of this process.
        value: What the function returned.
    """

    code: int
    said: str
    peak_mib: float
    value: Any


def attempts(
    attacks: Attacks, begin: int, folder: Path, seed: int, deadline: float
) -> Iterator[tuple[int, str | None]]:
    """Number and outcome of each attack from `begin` on, until the deadline."""
    if begin < attacks.count:
        folder.mkdir(parents=True, exist_ok=True)
        attacks.prepare(folder)
    while begin < attacks.count and time.monotonic() < deadline:
        outcomes = folder / "outcomes.jsonl"
        outcomes.unlink(missing_ok=True)

        def some(begin: int = begin, outcomes: Path = outcomes) -> None:
            for number in range(begin, min(begin + _BATCH, attacks.count)):
                if time.monotonic() > deadline:
                    return
                try:
                    problem = attacks.attack(number, seed, folder)
                except Exception as error:
                    problem = f"{type(error).__name__}: {error}"[:500]
                    traceback.print_exc()
                with outcomes.open("a") as file:
                    file.write(json.dumps([number, problem]) + "\n")

        ended = in_copy(some, seconds=max(60.0, deadline - time.monotonic()) + attacks.seconds)
        rows = [json.loads(line) for line in outcomes.read_text().splitlines()] if outcomes.exists() else []
        yield from ((number, problem) for number, problem in rows)
        begin += len(rows)
        if ended.code != 0:
            yield begin, f"the process ended with {ended.code}: {ended.said[-300:]}"
            begin += 1


def import_all() -> None:
    """What attacks use, imported once, for all copies."""
    import forking

    for name in (*forking.IMPORTED, "label_readers", "fastitpn.exporting.export", "fastitpn.reporting.report"):
        importlib.import_module(name)


def in_copy(function: Callable[[], Any], *, seconds: float = 300) -> Ended:
    """Runs a function in a copy of this process, with its output kept; it is killed when it takes too long."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as answer:
        sys.stdout.flush()
        before = _memory_mib()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setpgid(0, 0)
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                answer.write(json.dumps(function()).encode())
                answer.flush()
                code = 0
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        return wait_for(pid, output, answer, before, seconds)


def wait_for(pid: int, output: Any, answer: Any, before: float, seconds: float) -> Ended:
    """Waits for a copy."""
    deadline = time.monotonic() + seconds
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)
    output.seek(0)
    answer.seek(0)
    content = answer.read()
    code = os.waitstatus_to_exitcode(status)
    said = output.read().decode(errors="replace")
    return Ended(code, said, usage.ru_maxrss / 1024 - before, json.loads(content) if content else None)


def fastitpn(*words: object, seconds: float = 300) -> Ended:
    """Runs a command in a copy."""
    from fastitpn.cli.main import main

    return in_copy(lambda: sys.exit(main([str(word) for word in words])), seconds=seconds)


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _memory_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0
