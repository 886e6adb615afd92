"""`fastitpn benchmark`: what each acceleration gains in speed, beside the plain model and models of timm."""

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from fastitpn.benchmarking.candidates import Candidate, accelerations_of, check_peers
from fastitpn.benchmarking.conditions import Conditions
from fastitpn.benchmarking.config import BenchmarkConfig
from fastitpn.benchmarking.drawing import draw_quality, draw_ratios
from fastitpn.benchmarking.measure import Budget, measure_case
from fastitpn.benchmarking.memory import MemoryMeter
from fastitpn.benchmarking.quality import Quality, measure_quality
from fastitpn.benchmarking.result import Benchmark
from fastitpn.config import to_command, to_yaml
from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.files import replacing, write_text
from fastitpn.models.acceleration.settings import PRESETS, Acceleration
from fastitpn.models.architecture import ARCHITECTURES, DEFAULT_MODEL
from fastitpn.models.weights.file import WeightsFile, read_weights
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Picture, Section
from fastitpn.reporting.tables import print_table
from fastitpn.reporting.values import Value
from fastitpn.runs.acceleration import check_acceleration, named_acceleration, trained_acceleration
from fastitpn.runs.exported_folder import is_exported_folder
from fastitpn.runs.output import check_no_run, make_folder
from fastitpn.runs.trained_model import TrainedCheckpoint, open_checkpoint
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.spec import TaskSpec
from fastitpn.training.processes.devices import build_fabric, resolve_precision
from fastitpn.training.setup import arguments_of, check_model

if TYPE_CHECKING:
    from lightning_fabric import Fabric

FIGURES, PLOT, REPORT = "benchmark.json", "plot.png", "report.html"
MOST_IN_SUMMARY = 6


def run_benchmark(config: BenchmarkConfig) -> Benchmark:
    """Measure, print a table for each size and batch as soon as it is there, and write everything to `out`.

    Raises:
        InputError: The model, a peer, the data, the device or the folder `out` is wrong.
    """
    check_no_run(config.out, "benchmark")
    check_peers(config.peers or ())
    candidates, px = find_candidates(config)
    quality = Quality(config) if config.data is not None else None
    fabric = build_fabric(config.device, precision=config.precision)
    make_folder(config.out)
    conditions = Conditions(
        device=str(fabric.device),
        precision=resolve_precision(config.precision, fabric.device.type),
        compile=config.compile,
        threads=config.threads,
    )
    with conditions.hold():
        benchmark = _measure(config, candidates, px, conditions, quality, fabric)
    _write_report(config, benchmark, pass_of=_a_pass(config, candidates))
    say(f"written: {', '.join(str(config.out / name) for name in (FIGURES, PLOT, REPORT))}")
    return benchmark


def find_candidates(config: BenchmarkConfig) -> tuple[list[Candidate], tuple[int, ...]]:
    """What to measure, and at which sizes.

    Raises:
        InputError: There is no such model or file.
    """
    if config.checkpoint is not None and is_exported_folder(config.checkpoint.expanduser()):
        return _exported_candidates(config, open_checkpoint(config.checkpoint))
    source = config.checkpoint or config.weights
    file = read_weights(source, **config.choice) if source is not None else None
    name = config.model or (file.size if file is not None else DEFAULT_MODEL)
    if name is None:
        raise InputError(
            "the weights are of a size that has no name",
            where=source,
            expected=f"one of {', '.join(ARCHITECTURES)}",
            fix="model=NAME",
        )
    check_model(name, file)
    trained = trained_acceleration(file.checkpoint, file.source) if file is not None else None
    accelerations = dict(PRESETS)
    if config.acceleration != "all":
        accelerations = {key: named_acceleration(key, trained) for key in dict.fromkeys(("off", *config.acceleration))}
    elif trained is not None and trained.name not in PRESETS:
        accelerations = {trained.name: trained} | accelerations
    ours = [
        Candidate(
            model=name,
            acceleration=acceleration,
            arguments=_arguments(file, config),
            pyramid=config.pyramid,
            task=file.checkpoint.get("task") if file is not None else None,
            part=_part(file, config),
        )
        for acceleration in sorted(accelerations.values(), key=lambda acceleration: not acceleration.off)
    ]
    peers = [Candidate(model=peer) for peer in dict.fromkeys(config.peers or ())]
    native = (file.px if file is not None else None) or ARCHITECTURES[name].px
    return [*ours, *peers], tuple(dict.fromkeys(config.px or (native,)))


def _exported_candidates(
    config: BenchmarkConfig, checkpoint: TrainedCheckpoint
) -> tuple[list[Candidate], tuple[int, ...]]:
    """An exported graph beside the network that it was made of: plain, and with its acceleration."""
    assert checkpoint.exported is not None
    content = checkpoint.content
    acceleration = trained_acceleration(content, checkpoint.path)
    check_acceleration(None if config.acceleration == "all" else config.acceleration[-1], acceleration, checkpoint.path)
    runtime = checkpoint.exported["runtime"]
    eager = Candidate(
        model=content["model"]["name"], acceleration=PRESETS["off"], task=content["task"], described=content
    )
    graph = dataclasses.replace(
        eager,
        acceleration=acceleration,
        exported=str(checkpoint.path),
        alias=runtime if acceleration.off else f"{acceleration.name}, {runtime}",
    )
    accelerated = [] if acceleration.off else [dataclasses.replace(eager, acceleration=acceleration)]
    peers = [Candidate(model=peer) for peer in dict.fromkeys(config.peers or ())]
    native = min(checkpoint.exported["px"])
    return [eager, *accelerated, graph, *peers], tuple(dict.fromkeys(config.px or (native,)))


def _arguments(file: WeightsFile | None, config: BenchmarkConfig) -> dict[str, Any]:
    """Arguments of `create_model` that the weights' form asks for; their values do not matter to speed."""
    if file is None:
        return {}
    if _part(file, config) is not None:
        return {name: value for name, value in file.checkpoint["model"]["arguments"].items() if name != "img_size"}
    left_out = ("img_size", "pyramid") if not config.pyramid else ("img_size",)
    form = arguments_of(file, config.model, config.blocks)
    kept = {key: value for key, value in form.items() if not key.startswith(left_out) and key != "pyramid"}
    return {**kept, "num_classes": file.num_classes}


def _part(file: WeightsFile | None, config: BenchmarkConfig) -> dict[str, Any] | None:
    """What runs of a trained network, where that is more than the backbone."""
    task = file.checkpoint.get("task") if file is not None else None
    if file is None or task is None or config.pyramid or task not in TASKS:
        return None
    spec: TaskSpec[Any, Any, Any] = TASKS.spec(task)
    checkpoint = TrainedCheckpoint(path=Path(file.source), content={**file.checkpoint, "weights": file.tensors})
    part: dict[str, Any] | None = spec.measured_part(checkpoint.describe(spec.description))
    return part


def _measure(
    config: BenchmarkConfig,
    candidates: list[Candidate],
    sizes: tuple[int, ...],
    conditions: Conditions,
    quality: "Quality | None",
    fabric: "Fabric",
) -> Benchmark:
    benchmark = Benchmark(
        cases=(),
        command=to_command(config),
        environment=describe_environment(conditions.device),
        conditions={**dataclasses.asdict(conditions), "threads": torch.get_num_threads()},
        accelerations=accelerations_of(candidates),
        metrics=quality.metrics if quality is not None else (),
    )
    budget = Budget(seconds=config.seconds, rounds=config.rounds)
    with MemoryMeter(conditions) as memory:
        for px in sizes:
            measured = measure_quality(quality, candidates, px, fabric) if quality is not None else {}
            for batch in dict.fromkeys(config.batch):
                case = measure_case(candidates, px, batch, conditions, budget, memory)
                rows = tuple(dataclasses.replace(row, metrics=measured.get(row.acceleration, {})) for row in case.rows)
                case = dataclasses.replace(case, rows=rows)
                benchmark = dataclasses.replace(benchmark, cases=(*benchmark.cases, case))
                print_table(case.table(benchmark.metric))
                write_text(config.out / FIGURES, json.dumps(benchmark.to_json(), indent=1) + "\n")
    return benchmark


def _write_report(config: BenchmarkConfig, benchmark: Benchmark, *, pass_of: str) -> None:
    ratios, plot = draw_ratios(benchmark)
    sections: list[Section] = [
        Picture(
            "Speed",
            ratios,
            "Above 1 is faster than the plain model at the same size and batch. Grey: models of timm.",
        )
    ]
    if config.data is not None:
        quality, plot = draw_quality(benchmark)
        sections.insert(0, Picture("Quality against speed", quality, "Up and to the right is better."))
    with replacing(config.out / PLOT) as file:
        file.write(plot)
    sections += [case.table(benchmark.metric) for case in benchmark.cases]
    sections += [
        Facts("Accelerations", {name: _in_words(preset) for name, preset in benchmark.accelerations.items()}),
        Facts("How it was measured", _method(benchmark, pass_of)),
        Code("Configuration", to_yaml(config)),
        Facts("Environment", benchmark.environment),
    ]
    write_report(config.out / REPORT, title="Benchmark", summary=_summary(benchmark), sections=sections)


def _summary(benchmark: Benchmark) -> list[tuple[str, Value, str]]:
    """The accelerations of the last case, which as a rule is the largest."""
    figures: list[tuple[str, Value, str]] = []
    for case in benchmark.cases[-1:]:
        for row in case.rows:
            if row.acceleration is not None and not row.plain and row.ratio is not None:
                figures.append((row.acceleration, f"{row.ratio:.2f}x", f"the plain model, {case.title}"))
    return figures[:MOST_IN_SUMMARY]


def _in_words(acceleration: Acceleration) -> str:
    return acceleration.describe().removeprefix(f"{acceleration.name}: ")


def _a_pass(config: BenchmarkConfig, candidates: list[Candidate]) -> str:
    if config.pyramid:
        return "images to the maps of the pyramid; models of timm: images to logits"
    for candidate in candidates:
        if candidate.part is not None:
            return f"{candidate.part['pass']}; models of timm: images to logits"
    return "images to logits"


def _method(benchmark: Benchmark, pass_of: str) -> dict[str, object]:
    return {
        "a pass": pass_of,
        **benchmark.conditions,
        "turns": "all rows of a size and batch take turns, in another order in every round",
        "ratio": "median over rounds of the plain model's time over the row's; spread: the middle 80 % of the rounds",
        "GFLOPs": "matrix products, convolutions and attention for one image; a multiply-add is two operations",
        "MiB": "peak: weights, input, and the most that a pass holds beside them",
        "of peak": "operations per second of the fastest pass over those of the fastest matrix product beside it",
        "command": benchmark.command,
    }
