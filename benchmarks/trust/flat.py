"""A long training: memory and open files stay what they were."""

import os
import shutil
from pathlib import Path

from benchmarks.trust.attacks import Attacks, in_copy

STEPS, EVERY = 400, 40
MOST_MIB, MOST_FILES = 20, 2


def attack(number: int, seed: int, folder: Path) -> str | None:
    """400 steps with 10 evaluations: what it has after the first and after the last of them."""
    shutil.rmtree(folder / "run", ignore_errors=True)

    def run() -> list[tuple[float, int]]:
        import dataclasses

        from training_example import SETTINGS, TinyTask, train

        measured: list[tuple[float, int]] = []

        class Measured(TinyTask):
            def evaluate(self, batches, model):  # type: ignore[no-untyped-def]
                status = Path("/proc/self/status").read_text().split("VmRSS:")[1]
                measured.append((int(status.split()[0]) / 1024, len(os.listdir("/proc/self/fd"))))
                return super().evaluate(batches, model)

        settings = dataclasses.replace(SETTINGS, steps=STEPS, evaluate_every=EVERY, checkpoint_every=EVERY)
        train(folder / "run", settings, task=Measured(), workers=number)
        return measured

    ended = in_copy(run, seconds=280)
    if ended.value is None:
        return f"ended with {ended.code}: {ended.said[-300:]}"
    (memory, files), (last_memory, last_files) = ended.value[1], ended.value[-1]
    if last_memory - memory > MOST_MIB or last_files - files > MOST_FILES:
        return f"{memory:.0f} to {last_memory:.0f} MiB, {files} to {last_files} open files"
    return None


ATTACKS = (Attacks(name="long runs", count=2, attack=attack),)
