"""SIGTERM, SIGINT and SIGUSR1, once or twice, at random moments of a training and its evaluations."""

import os
import shutil
import signal
from pathlib import Path

from benchmarks.trust import rng_of
from benchmarks.trust.attacks import Attacks, in_copy
from benchmarks.trust.kill import prepare, same_run, train_small
from fastitpn.cli.signals import ending_by_signals

INTERRUPTED = 130
_NAMES = ("SIGTERM", "SIGINT", "SIGUSR1")


def stopped(number: int, seed: int, folder: Path) -> str | None:
    """A run that is told to stop: it saves, says how to go on, and ends as an unbroken one when it does."""
    rng, out = rng_of(seed, number), folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    name = _NAMES[number % len(_NAMES)]
    after, twice = rng.random() * float((folder / "unbroken.seconds").read_text()), rng.random() < 0.3

    def run() -> None:
        def tell(*_: object) -> None:
            os.kill(os.getpid(), getattr(signal, name))
            if twice:
                os.kill(os.getpid(), getattr(signal, name))

        signal.signal(signal.SIGALRM, tell)
        signal.setitimer(signal.ITIMER_REAL, max(after, 0.01))
        from training_example import RandomImages

        from fastitpn.training import loop

        wait = loop.StopRequest.__enter__

        def enter(self: loop.StopRequest) -> loop.StopRequest:
            result = wait(self)
            signal.setitimer(signal.ITIMER_REAL, max(after, 0.01))  # before, no run has begun
            return result

        assert RandomImages
        signal.setitimer(signal.ITIMER_REAL, 0)
        loop.StopRequest.__enter__ = enter  # type: ignore[method-assign]
        try:
            with ending_by_signals():  # as every command does
                train_small(out)
        except KeyboardInterrupt:
            os._exit(INTERRUPTED)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    ended = in_copy(run)
    complete = (out / "result.json").exists()
    if ended.code not in ((0, INTERRUPTED) if complete else (INTERRUPTED,)):
        return f"{name} after {after:.2f} s: exit code {ended.code}: {ended.said[-300:]}"
    if "Traceback" in ended.said:
        return f"{name} after {after:.2f} s: a traceback: {ended.said[-300:]}"
    if (again := in_copy(lambda: train_small(out) and None)).code != 0:
        return f"it did not go on: {again.said[-300:]}"
    problem = same_run(out, folder / "unbroken")
    return f"{name} after {after:.2f} s: {problem}" if problem else None


ATTACKS = (Attacks(name="signals at random moments", count=40, attack=stopped, prepare=prepare),)
