"""A disk that fails under each writer at each of its steps: full, read-only, vanished, with input/output errors."""

import errno
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.trust.attacks import Attacks, emptied
from benchmarks.trust.writers import WRITERS, changes_disk, contents, torn

KINDS = {
    "full": (errno.ENOSPC, 1),
    "read-only": (errno.EROFS, 99),
    "three input/output errors": (errno.EIO, 3),
    "input/output errors": (errno.EIO, 99),
    "vanished": (0, 1),
}
"""Error of the system, and how many calls in a row it answers."""
STEPS = 6
_OF_CLEANING = ("os.remove", "os.rmdir", "shutil.rmtree")
_OF_THE_ATTACK = (".source", ".images")


class _Fault:
    """The failing disk: an audit hook, of which Python never lets go, so it is switched on and off.

    Attributes:
        left: Changes of the disk before it fails; None while it is whole.
        times: How often it fails then.
    """

    left: int | None = None
    times = 0
    number = 0
    folder = Path()
    installed = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Fail, if it is time."""
        if (
            self.left is None
            or not changes_disk(event, arguments)
            or event in ("os.remove", "os.rmdir", "shutil.rmtree")
        ):
            return
        if self.left > 0:
            self.left -= 1
        elif self.times > 0:
            self.times -= 1
            if self.number == 0:
                self.left = None
                shutil.rmtree(self.folder)
            else:
                raise OSError(self.number, "as an attack", str(arguments[0]))


_FAULT = _Fault()


def attack(number: int, seed: int, folder: Path) -> str | None:
    """The old file stays whole and nothing of the new one is left, or the new one is written; one message."""
    from fastitpn import files
    from fastitpn.errors import InputError

    write = WRITERS[number % len(WRITERS)]
    kind = list(KINDS)[number // len(WRITERS) % len(KINDS)]
    step = number // len(WRITERS) // len(KINDS)
    files._WAITS_S = (0.0, 0.0, 0.0)
    if not _FAULT.installed:
        sys.addaudithook(_FAULT)
        _FAULT.installed = True
    place = emptied(folder / "place")
    write(place, 1)
    old = contents(place)
    _FAULT.number, _FAULT.times = KINDS[kind]
    _FAULT.folder, _FAULT.left = place, step
    said = None
    try:
        write(place, 2)
    except InputError as error:
        said = str(error)
    except OSError as error:
        if not set(_OF_THE_ATTACK) & set(Path(str(error.filename)).parts):
            raise
        return None  # it was of what the attack itself makes, before it writes
    finally:
        _FAULT.left = None
    what = f"{write.__name__}, {kind}, step {step}"
    if kind == "vanished":
        return None
    between, left = (
        contents(place),
        [path.name for path in place.rglob(".*") if path.name not in (".source", ".images")],
    )
    if left:
        return f"{what}: {left} are left"
    if kind == "three input/output errors" and said is not None:
        return f"{what}: it gave up: {said[:200]}"
    write(place, 2)
    problem = torn(between, old, contents(place))
    return f"{what}: {problem}" if problem else None


ATTACKS = (Attacks(name="failing disks", count=len(WRITERS) * len(KINDS) * STEPS, attack=attack),)
