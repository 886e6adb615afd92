"""Reads data sets with damaged files: nothing but the project's own errors comes out, soon and in little memory."""

import random
import re
import resource
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from damaging import damage

from fastitpn.errors import InputError

MOST_S, MOST_MIB = 2.0, 512
"""What reading a damaged data set may take: of the processor's time, which others on the machine do not change much and
of which a round takes some hundredths, and of memory beyond what there was before."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """A data set that is right, and what reads it.

    Attributes:
        files: Content by path within a folder; those whose suffix is in `damaged` are damaged, one at a time.
        readers: Each reads the folder, as a command does.
        damaged: Suffixes.
    """

    files: Mapping[str, bytes]
    readers: Sequence[Callable[[Path], object]]
    damaged: Sequence[str] = (".csv", ".json", ".txt", ".xml", ".yaml", ".names", ".data")


class TooSlow(BaseException):
    """Processor time is used up; nothing that is read catches it."""


def check_reading(labels: Labels, folder: Path, rounds: int, *, in_turn: bool, seed: int = 0) -> None:
    """Damages a file, reads the folder and puts the file back, `rounds` times; by all readers, or by each in turn.

    Raises:
        AssertionError: Another error than InputError came out, or it took too long or too much memory; it says which
            round of which seed, and the damaged file stays in the folder.
    """
    write_right(labels, folder)
    for number in range(rounds):
        check_round(labels, folder, number, in_turn=in_turn, seed=seed)


def write_right(labels: Labels, folder: Path) -> None:
    """Writes the data set, and has it read."""
    for name, content in labels.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for read in labels.readers:
        read(folder)


def check_round(labels: Labels, folder: Path, number: int, *, in_turn: bool, seed: int = 0) -> None:
    """One round of `check_reading`."""
    rng = random.Random(f"{seed} {number}")
    name = rng.choice([name for name in labels.files if Path(name).suffix in labels.damaged])
    damaged = damage(labels.files[name], Path(name).suffix, rng)
    (folder / name).write_bytes(damaged)
    place = f"round {number} of seed {seed}, {folder / name}: {damaged[:500]!r}"
    before = _peak_mib(anew=True)
    for read in [labels.readers[number % len(labels.readers)]] if in_turn else labels.readers:
        try:
            with _time_limit():
                read(folder)
        except InputError as error:
            str(error)
        except (Exception, TooSlow) as error:
            raise AssertionError(place) from error
    assert _peak_mib() - before < MOST_MIB, place
    (folder / name).write_bytes(labels.files[name])


@contextmanager
def _time_limit() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TooSlow(f"more than {MOST_S} s of the processor")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, MOST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _peak_mib(*, anew: bool = False) -> float:
    """The most memory that this process has held; `anew` forgets what was before, where the system can."""
    try:
        if anew:
            Path("/proc/self/clear_refs").write_text("5")
        return int(re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[0]) / 1024
    except (OSError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
