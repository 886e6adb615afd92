"""A disk that is full, or read-only, under every verb that writes: a small tmpfs where this system allows one."""

import ctypes
import os
import resource
import subprocess
from pathlib import Path

from benchmarks.trust import rng_of
from benchmarks.trust.attacks import Attacks, Ended, in_copy
from benchmarks.trust.inputs import VERBS, main, make_inputs, shared_inputs, words_of

_NEW_MOUNTS = 0x00020000
WRITING = tuple(verb for verb in VERBS if "{out}" in VERBS[verb])
KINDS = ("full", "full", "full", "read-only")


def attack(number: int, seed: int, folder: Path) -> str | None:
    """A verb on a disk of a random size that is too small, or that cannot be written to."""
    verb, kind = WRITING[number % len(WRITING)], KINDS[number // len(WRITING) % len(KINDS)]
    rng, disk = rng_of(seed, number), folder / "disk"
    disk.mkdir(exist_ok=True)
    kib = rng.choice((4, 8, 16, 64, 256, 1024, 4096))
    old = b"what was there before"

    def run() -> tuple[int, str, bool] | None:
        if not _mount(disk, "size=16m"):
            return None
        out = disk / "out"
        out.mkdir()
        (disk / "old").write_bytes(old)
        if kind == "read-only":
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        else:
            free = os.statvfs(disk)
            with open(disk / "filler", "wb") as file:
                file.truncate(0)
                os.posix_fallocate(file.fileno(), 0, max(1, free.f_bavail * free.f_frsize - kib * 1024))
        ended = in_copy(lambda: main(words_of(verb, shared_inputs(folder), out)))
        left = [path.name for path in disk.rglob("*") if path.name.endswith(".tmp") or ".earlier" in path.name]
        left += [path.name for path in disk.iterdir() if path.name.startswith(".")]
        problem = _problem(ended, left) or (None if (disk / "old").read_bytes() == old else "an older file changed")
        return (ended.code, problem or "", problem is None)

    ended = in_copy(run, seconds=280)
    if ended.value is None:
        return f"no small disk can be made here: {ended.said[-200:]}"
    code, problem, right = ended.value
    return None if right else f"{verb}, {kind}, {kib} KiB left: exit code {code}: {problem}"


def _problem(ended: Ended, left: list[str]) -> str | None:
    if ended.code == 0:
        return "half-written files: " + ", ".join(left) if left else None  # there was room for it
    if ended.code != 2:
        return ended.said[-400:]
    if "Traceback" in ended.said or "Logging error" in ended.said:
        return f"a traceback: {ended.said[-400:]}"
    words = (
        "disk is full",
        "no space left",
        "could not be written",
        "cannot be made",
        "access denied",
        "can be written",
    )
    if not any(word in ended.said for word in words):
        return f"no message on the disk: {ended.said[-400:]}"
    return f"half-written files: {', '.join(left)}" if left else None


def _mount(disk: Path, options: str) -> bool:
    """A tmpfs that this process alone sees."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if ctypes.CDLL(None).unshare(_NEW_MOUNTS) != 0:
        return False
    private = subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True, check=False)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", disk], capture_output=True, check=False)
    return private.returncode == made.returncode == 0


def prepare(folder: Path) -> None:
    """The inputs of the verbs."""
    make_inputs(shared_inputs(folder))


ATTACKS = (Attacks(name="full and read-only disks", count=4 * len(WRITING), attack=attack, prepare=prepare),)
