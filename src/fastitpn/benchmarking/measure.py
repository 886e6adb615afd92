"""All candidates at one size and batch."""

import copy
import dataclasses

import torch
from torch import nn

from fastitpn.benchmarking.candidates import Candidate, Unfit, first_line
from fastitpn.benchmarking.conditions import OUT_OF_MEMORY, Conditions, is_out_of_memory, weight_bytes
from fastitpn.benchmarking.flops import count_gflops
from fastitpn.benchmarking.matmul_peak import MatmulPeak
from fastitpn.benchmarking.memory import MemoryMeter, cuda_peak_mib
from fastitpn.benchmarking.result import Case, Row, finish_row
from fastitpn.benchmarking.timing import Contestant, num_rounds, stopwatch_for, take_turns
from fastitpn.training.progress import ProgressDisplay


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """How long to measure."""

    seconds: float = 10.0
    """For each row, about; never fewer than `timing.FEWEST_ROUNDS` rounds."""
    rounds: int | None = None
    """This many, however long it takes."""


class _Prepared:
    """A candidate with all that is known of it before the rounds."""

    def __init__(self, candidate: Candidate):
        self.candidate = candidate
        self.gflops: float | None = None
        self.memory_mib: float | None = None
        self.problem: str | None = None
        self.contestant: Contestant | None = None


def measure_case(
    candidates: list[Candidate],
    px: int,
    batch: int,
    conditions: Conditions,
    budget: Budget,
    memory: MemoryMeter,
) -> Case:
    """Let all candidates take turns at one size and batch.

    Args:
        candidates: In the order of the rows; the first plain one is what all are compared with.
        px: Image size in pixels.
        batch: Images in a pass.
        conditions: Device, precision and threads, which the caller holds.
        budget: Seconds or rounds to measure for.
        memory: Entered by the caller.
    """
    if conditions.compile:
        torch.compiler.reset()  # frees what was compiled for other sizes
    entries = [_Prepared(candidate) for candidate in candidates]
    models: dict[str, nn.Module] = {}
    with ProgressDisplay(f"{px} px, batch {batch}: preparing", step=0, steps=len(entries)) as display:
        for number, entry in enumerate(entries, 1):
            try:
                _prepare(entry, px, batch, conditions, memory, models)
            except Unfit as unfit:
                entry.problem = str(unfit)
            display.advance(number)
    peak = MatmulPeak(conditions, stopwatch_for(conditions.device))
    peak.sample()
    running = [entry.contestant for entry in entries if entry.contestant is not None]
    rounds = num_rounds(running, budget.seconds, budget.rounds) if running else 0
    steps = rounds * len(running)
    with ProgressDisplay(f"{px} px, batch {batch}: {rounds} rounds", step=0, steps=steps) as display:
        done = iter(range(1, steps + 1))
        take_turns(
            running,
            stopwatch_for(conditions.device),
            rounds,
            between=peak.sample,
            after_turn=lambda: display.advance(next(done)),
        )
    plain = next((e.contestant for e in entries if e.candidate.plain and _finished(e)), None)
    rows = tuple(_row(entry, px, batch, plain.turns if plain else [], peak.gflops) for entry in entries)
    return Case(px=px, batch=batch, rounds=rounds, peak_gflops=peak.gflops, rows=rows)


def _prepare(
    entry: _Prepared, px: int, batch: int, conditions: Conditions, memory: MemoryMeter, models: dict[str, nn.Module]
) -> None:
    """Count, measure memory, and warm up.

    Args:
        entry: The candidate, with the predictions of it so far.
        px: Image size in pixels.
        batch: Images in a pass.
        conditions: Device, precision and threads, which are held.
        memory: Measures peak memory; it is entered already.
        models: Our models that are there already, whose weights are shared.

    Raises:
        Unfit: It cannot run; says why.
    """
    candidate = entry.candidate
    try:
        model = _build(candidate, px, models)
        counted = model if candidate.exported is None else _built_for(candidate, models)
        entry.gflops = None if counted is None else count_gflops(counted, px, candidate.in_chans)
        if candidate.exported is None:  # the weights of a graph lie in its runtime, and are not to be seen
            entry.memory_mib, problem = memory.measure(candidate, px, batch)
            if problem:
                raise Unfit(problem)
        stopwatch = stopwatch_for(conditions.device)
        model = model.to(conditions.device)
        images = torch.randn(batch, candidate.in_chans, px, px, generator=torch.Generator().manual_seed(0))
        images = images.to(conditions.device)
        contestant = Contestant(run=conditions.forward(model, images))
        contestant.warm_up(stopwatch)
        if torch.device(conditions.device).type == "cuda":
            entry.memory_mib = cuda_peak_mib(contestant.run, weight_bytes(model) + images.nbytes)
    except Unfit:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise Unfit(OUT_OF_MEMORY) from error
        if candidate.acceleration is not None:
            raise
        raise Unfit(first_line(error)) from error  # many peers notice only now that they have another size
    entry.contestant = contestant


def _build(candidate: Candidate, px: int, models: dict[str, nn.Module]) -> nn.Module:
    """The model; ours that differ in their acceleration alone share their weights."""
    if candidate.exported is not None:
        return candidate.build(px)
    key = f"{candidate.model} {candidate.pyramid} {candidate.part} {dict(candidate.arguments)}"
    if candidate.acceleration is None or key not in models:
        model = candidate.build(px)
        if candidate.acceleration is not None:
            models[key] = model
        return model
    model = copy.deepcopy(models[key], {id(weight): weight for weight in models[key].parameters()})
    candidate.accelerate(model)
    return model


def _built_for(graph: Candidate, models: dict[str, nn.Module]) -> nn.Module | None:
    """A network of ours with the acceleration of an exported graph, whose operations are those of the graph."""
    for model in models.values():
        twin = copy.deepcopy(model)
        dataclasses.replace(graph, exported=None).accelerate(twin)
        return twin
    return None


def _finished(entry: _Prepared) -> bool:
    return entry.contestant is not None and not entry.contestant.out_of_memory


def _row(entry: _Prepared, px: int, batch: int, plain_turns: list[list[float]], peak_gflops: float) -> Row:
    candidate, contestant = entry.candidate, entry.contestant
    if contestant is None or contestant.out_of_memory:
        return Row(
            model=candidate.model,
            acceleration=candidate.acceleration_name,
            px=px,
            batch=batch,
            gflops=entry.gflops,
            problem=entry.problem or f"{OUT_OF_MEMORY} beside the others",
        )
    return finish_row(
        candidate,
        px,
        batch,
        turns=contestant.turns,
        plain_turns=plain_turns,
        peak_gflops=peak_gflops,
        gflops=entry.gflops,
        memory_mib=entry.memory_mib,
    )
