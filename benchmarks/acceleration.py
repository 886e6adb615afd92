"""What token migration and token gathering gain in speed: each preset over the plain model, and each half of it alone.

    python -m benchmarks.acceleration [key=value ...]
    python -m benchmarks.acceleration sizes=tiny,small,base,large device=cuda precision=bf16-mixed compile=true

As `fastitpn benchmark`: all rows of a case take turns, in another order in every round, and a ratio is the median over
rounds of the ratio within a round. On a CPU with one thread in float32.
"""

import dataclasses
from typing import Literal

from benchmarks.harness.environment import describe_machine
from benchmarks.harness.options import SpeedOptions, command_of, start
from benchmarks.harness.results import write_json
from fastitpn.benchmarking.candidates import Candidate, accelerations_of
from fastitpn.benchmarking.conditions import Conditions
from fastitpn.benchmarking.measure import Budget, measure_case
from fastitpn.benchmarking.memory import MemoryMeter
from fastitpn.benchmarking.result import Benchmark, Case
from fastitpn.config.types import Count, Positive
from fastitpn.models.acceleration.settings import PRESETS
from fastitpn.reporting.tables import print_table

CASES = ((224, 1), (224, 8), (512, 1), (1024, 1))
GPU_CASES = ((224, 1), (224, 64), (512, 16), (1024, 4))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(SpeedOptions):
    """Acceleration."""

    sizes: tuple[str, ...] = ("tiny", "base")
    """Sizes of the model."""
    seconds: Positive = 60
    """Time to measure each row, about."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    """Number format."""
    compile: bool = False
    """Compile the models with torch.compile."""
    rounds: Count | None = None
    """Instead of seconds: turns that each row has."""


def arms(model: str) -> list[Candidate]:
    """The plain model, the presets, and of each preset migration alone and gathering alone."""
    candidates: list[Candidate] = []
    for name, preset in PRESETS.items():
        halves = {
            name: preset,
            f"{name}: migration alone": dataclasses.replace(preset, gathering=None),
            f"{name}: gathering alone": dataclasses.replace(preset, migration=None),
        }
        for alias, acceleration in halves.items():
            known = [(arm.acceleration.migration, arm.acceleration.gathering) for arm in candidates]
            if (acceleration.migration, acceleration.gathering) not in known:
                candidates.append(Candidate(model=model, acceleration=acceleration, alias=alias))
    return candidates


def run(options: Options) -> None:
    """Measures all cases, prints and stores them."""
    device = options.device
    threads = 1 if device == "cpu" else None
    conditions = Conditions(device=device, precision=options.precision, compile=options.compile, threads=threads)
    budget = Budget(seconds=options.seconds, rounds=options.rounds)
    cases: list[Case] = []
    with conditions.hold(), MemoryMeter(conditions) as memory:
        for size in options.sizes:
            for px, batch in CASES if device == "cpu" else GPU_CASES:
                cases.append(measure_case(arms(f"fastitpn_{size}"), px, batch, conditions, budget, memory))
                print_table(cases[-1].table())
        benchmark = Benchmark(
            cases=tuple(cases),
            command=command_of(options),
            environment=describe_machine(device),
            conditions=dataclasses.asdict(conditions),
            accelerations=accelerations_of(arms("fastitpn_tiny")),
        )
    if options.out is not None:
        write_json(options.out, benchmark.to_json())


if __name__ == "__main__":
    start(Options, run)
