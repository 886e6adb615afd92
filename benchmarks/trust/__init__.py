"""Attacks on what docs/guarantees.md promises, counted: how many of each class ended as promised.

    python -m benchmarks.trust [key=value ...]

Each class is a file beside this one. Attacks are numbered and seeded, so that one that failed can be repeated; a
command that was stopped goes on where it was. Rows of `out` have the counts, and the first failures in words.
"""

import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import split_arms, unknown_arms
from benchmarks.harness.results import Results, Row
from benchmarks.trust.attacks import Attacks, attempts, import_all

IDENTITY = ("class",)
_KEPT_FAILURES = 5


@dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """Attacks."""

    _unwritten: ClassVar[tuple[str, ...]] = ("out", "work", "classes", "minutes", "anew")

    seed: int = 0
    """Of the choices within an attack."""
    minutes: float = 60
    """Time to attack for; what is done is kept, and the same command goes on."""
    classes: str | None = None
    """Classes to attack, separated by semicolons; none takes all."""
    anew: bool = False
    """Forget what the file has of the chosen classes, and attack from the first one on."""
    work: Path = Path("runs/bench/trust")
    """Folder for inputs and for what the attacks write."""

    def _problems(self) -> list[str]:
        from benchmarks.trust.catalogue import CATALOGUE

        return [problem.replace("arms:", "classes:") for problem in unknown_arms(self.classes, CATALOGUE)]


def run(options: Options) -> None:
    """Attack until all is done or the time is over; each class has its share of the time.

    Raises:
        SystemExit: An attack of this call did not end as promised.
    """
    from benchmarks.trust.catalogue import CATALOGUE

    import_all()
    results = Results(options, lambda rows: {"summary": summarise(rows)}, identity=IDENTITY)
    names = split_arms(options.classes, CATALOGUE)
    if options.anew:
        results.rows[:] = [row for row in results.rows if row["class"] not in names]
    end = time.monotonic() + 60 * options.minutes
    wrong = 0
    for place, name in enumerate(names):
        share = (end - time.monotonic()) / (len(names) - place)
        wrong += _attack(CATALOGUE[name], results, options, time.monotonic() + share)
    results.finish()
    if wrong:
        raise SystemExit(f"attacks that did not end as promised: {wrong}")


def summarise(rows: list[Row]) -> dict[str, Any]:
    """Of each class: attacks, and those that ended as promised."""
    return {row["class"]: {"as_promised": row["as_promised"], "attacks": row["attacks"]} for row in rows}


def _attack(attacks: Attacks, results: Results, options: Options, deadline: float) -> int:
    row = results.by_identity().get((attacks.name,))
    if row is None:
        row = {"class": attacks.name, "attacks": 0, "as_promised": 0, "planned": attacks.count, "failures": []}
        results.rows.append(row)
    folder = options.work.absolute() / attacks.name.replace(" ", "-")
    wrong = 0
    for number, problem in attempts(attacks, row["attacks"], folder, options.seed, deadline):
        row["attacks"] = number + 1
        row["as_promised"] += problem is None
        if problem is not None:
            wrong += 1
            print(f"{attacks.name}, attack {number}: {problem}", flush=True)
            row["failures"] = [*row["failures"], f"attack {number}: {problem}"][:_KEPT_FAILURES]
        results._write()
    print(f"{attacks.name}: {row['as_promised']} of {row['attacks']} (of {attacks.count})", flush=True)
    return wrong


def rng_of(seed: int, number: int) -> random.Random:
    """What decides in an attack."""
    return random.Random(f"{seed} {number}")
