"""Two processes with one folder, and places and settings of machines that are not those of the author."""

import os
import shutil
import time
from pathlib import Path

from benchmarks.trust.attacks import Attacks, in_copy
from benchmarks.trust.inputs import main, make_inputs, shared_inputs, words_of
from benchmarks.trust.kill import prepare as train_unbroken
from benchmarks.trust.kill import same_run, train_small

KINDS = ("same at once", "other at once", "moved", "no HOME", "LANG=C", "spaces and unicode", "clock", "no terminal")


def attack(number: int, seed: int, folder: Path) -> str | None:
    """One of the kinds."""
    kind, out = KINDS[number % len(KINDS)], folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    if kind == "same at once":
        return _at_once(out, folder)
    if kind == "other at once":
        out.mkdir()
        from fastitpn.runs.lock import RunLock

        with RunLock(out):
            ended = in_copy(lambda: main(words_of("finetune classify", shared_inputs(folder), out)))
        right = ended.code == 2 and "a run writes into this folder already" in ended.said
        return None if right else f"{kind}: {ended.code}: {ended.said[-300:]}"
    place = folder / "mit Leerzeichen ä 写" if kind == "spaces and unicode" else out
    shutil.rmtree(place, ignore_errors=True)

    def run() -> None:
        if kind == "moved":
            os.chdir("/")
        elif kind == "no HOME":
            os.environ.pop("HOME", None)
        elif kind == "LANG=C":
            os.environ |= {"LANG": "C", "LC_ALL": "C"}
        elif kind == "clock":
            now, began = time.time, time.time()
            time.time = lambda: 2 * began - now()
        elif kind == "no terminal":
            if os.fork():  # the leader of a group, which the copy is, cannot leave its session
                os._exit(os.waitstatus_to_exitcode(os.wait()[1]))
            os.setsid()
            os.environ.pop("TERM", None)
        main(words_of("finetune classify", shared_inputs(folder), place))

    ended = in_copy(run)
    if ended.code != 0 or "Traceback" in ended.said:
        return f"{kind}: {ended.code}: {ended.said[-300:]}"
    return None if (place / "report.html").is_file() else f"{kind}: there is no report"


def _at_once(out: Path, folder: Path) -> str | None:
    """The same command twice: one does the run, the other says who does."""

    def both() -> list[int]:
        codes = []
        pids = []
        for _ in range(2):
            pid = os.fork()
            if pid == 0:
                from fastitpn.errors import InputError

                try:
                    train_small(out)
                    os._exit(0)
                except InputError as error:
                    os._exit(2 if "a run writes into this folder already" in str(error) else 1)
            pids.append(pid)
        for pid in pids:
            codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return sorted(codes)

    codes = in_copy(both).value
    if codes not in ([0, 2], [0, 0]):  # both, where the second came when the first was done
        return f"same at once: exit codes {codes}"
    return same_run(out, folder / "unbroken")


def prepare(folder: Path) -> None:
    """Inputs, and a run that nothing happened to."""
    make_inputs(shared_inputs(folder))
    train_unbroken(folder)


ATTACKS = (Attacks(name="collisions and odd machines", count=5 * len(KINDS), attack=attack, prepare=prepare),)
