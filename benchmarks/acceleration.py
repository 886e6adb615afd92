"""What token migration and token gathering gain in speed: each preset over the plain model, and each half of it alone.

    python -m benchmarks.acceleration [sizes=tiny,base] [seconds=60] [out=benchmarks/results/acceleration.json]
    python -m benchmarks.acceleration sizes=tiny,small,base,large device=cuda precision=bf16-mixed compile=true

As `fastitpn benchmark`: all rows of a case take turns, in another order in every round, and a ratio is the median over
rounds of the ratio within a round. On a CPU with one thread in float32.
"""

import dataclasses
import json
import sys
from pathlib import Path

import torch

from benchmarks.machine import describe_machine
from fastitpn.benchmarking.candidates import Candidate, accelerations_of
from fastitpn.benchmarking.conditions import Conditions
from fastitpn.benchmarking.measure import Budget, measure_case
from fastitpn.benchmarking.memory import MemoryMeter
from fastitpn.benchmarking.result import Benchmark, Case
from fastitpn.models.acceleration.settings import PRESETS
from fastitpn.reporting.tables import print_table

CASES = ((224, 1), (224, 8), (512, 1), (1024, 1))
GPU_CASES = ((224, 1), (224, 64), (512, 16), (1024, 4))


def arms(model: str) -> list[Candidate]:
    """The plain model, the presets, and of each preset migration alone and gathering alone."""
    found: list[Candidate] = []
    for name, preset in PRESETS.items():
        halves = {
            name: preset,
            f"{name}: migration alone": dataclasses.replace(preset, gathering=None),
            f"{name}: gathering alone": dataclasses.replace(preset, migration=None),
        }
        for alias, acceleration in halves.items():
            known = [(arm.acceleration.migration, arm.acceleration.gathering) for arm in found]
            if (acceleration.migration, acceleration.gathering) not in known:
                found.append(Candidate(model=model, acceleration=acceleration, alias=alias))
    return found


def main() -> None:
    """Measure all cases, print and store them."""
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    device = options.get("device", "cpu")
    conditions = Conditions(
        device=device,
        precision=options.get("precision", "32-true"),
        compile=options.get("compile") == "true",
        threads=1 if device == "cpu" else None,
    )
    budget = Budget(
        seconds=float(options.get("seconds", 60)), rounds=int(options["rounds"]) if "rounds" in options else None
    )
    cases: list[Case] = []
    with conditions.hold(), MemoryMeter(conditions) as memory:
        for size in options.get("sizes", "tiny,base").split(","):
            for px, batch in CASES if device == "cpu" else GPU_CASES:
                cases.append(measure_case(arms(f"fastitpn_{size}"), px, batch, conditions, budget, memory))
                print_table(cases[-1].table())
        benchmark = Benchmark(
            cases=tuple(cases),
            command="python -m " + " ".join(["benchmarks.acceleration", *sys.argv[1:]]),
            environment=describe_machine(torch.device(device).type),
            conditions=dataclasses.asdict(conditions),
            accelerations=accelerations_of(arms("fastitpn_tiny")),
        )
    if "out" in options:
        Path(options["out"]).write_text(json.dumps(benchmark.to_json(), indent=1) + "\n")


if __name__ == "__main__":
    main()
