"""One model in every runtime for CPUs: fp32 and int8, plain and accelerated, on one core, interleaved in one run.

    python -m benchmarks.runtimes [key=value ...]

Each row is an image size. Its arms see the same image in turn, round after round: the literal reference, our model in
PyTorch (`compile=true`: also compiled), and the files that `fastitpn export` writes for ONNX Runtime and OpenVINO. A
ratio is the median over rounds of the ratio within a round, in processor time. "share_of_peak" is what a plain arm in
fp32 reaches of the best matrix product of this core. The weights are random, so what int8 loses is not measured here.
"""

import copy
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import start
from benchmarks.harness.results import Results, Row
from benchmarks.harness.rounds import take_turns
from benchmarks.harness.summary import median_ms, speed_up
from benchmarks.inference import build
from benchmarks.reference import SIZES
from fastitpn.benchmarking.conditions import Conditions
from fastitpn.benchmarking.flops import count_gflops
from fastitpn.benchmarking.matmul_peak import MatmulPeak
from fastitpn.config.types import Count, ImagePx
from fastitpn.exporting.attempts import Attempt
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.exporting.network import Graph
from fastitpn.exporting.shapes import Shapes
from fastitpn.models.backbone import FastITPN
from fastitpn.tasks.classify.export import ClassifyNetwork

RUNTIMES = ("onnx", "openvino")
ACCELERATIONS = ("plain", "fast")
TOLERANCE = 1e-4
PEAK, REFERENCE = "peak", "reference"
_CALIBRATED_ON = 8
Run = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """Runtimes."""

    size: Literal[*SIZES] = "tiny"
    """Size of the model."""
    _unwritten = ("out", "px")

    px: tuple[ImagePx, ...] = (224, 512, 1024)
    """Sides of the image, a row each."""
    int8_px: tuple[ImagePx, ...] = (224,)
    """Those of them that int8 is measured at."""
    compile: bool = False
    """Also with torch.compile, which takes minutes to begin."""
    rounds: Count = 15
    """Rounds, in each of which all arms have a turn; one more comes first, to warm up."""


def files_of(model: FastITPN, images: Tensor, name: str, folder: Path, *, int8: bool) -> Iterator[tuple[str, Run]]:
    """The model as files, ready to run: "openvino plain", "openvino plain int8"."""
    graph = Graph(ClassifyNetwork(model), "fp32")
    shapes = Shapes(size=(images.shape[-2], images.shape[-1]))
    generator = torch.Generator().manual_seed(1)
    calibration = [torch.randn(images.shape, generator=generator) for _ in range(_CALIBRATED_ON)] if int8 else []
    for runtime in RUNTIMES:
        form = FORMATS[runtime]
        (folder / name / runtime).mkdir(parents=True)
        exact = folder / name / runtime / form.file
        form.write(graph, shapes, exact)
        yield f"{runtime} {name}", _runner(form.open(exact), images)
        if int8:
            quantised = exact.with_name(f"int8_{exact.name}")
            form.quantise(exact, quantised, Attempt(), calibration)
            yield f"{runtime} {name} int8", _runner(form.open(quantised), images)


def arms_of(options: Options, px: int, images: Tensor, folder: Path) -> dict[str, Run]:
    """All arms of a row, without the matrix products."""
    reference, ours = build(options.size, px)
    arms: dict[str, Run] = {REFERENCE: lambda: reference(images)}
    for name in ACCELERATIONS:
        model = copy.deepcopy(ours)
        model.set_acceleration("off" if name == "plain" else name)
        arms[f"eager {name}"] = lambda model=model: model(images)
        if options.compile:
            compiled = torch.compile(model)
            arms[f"compiled {name}"] = lambda compiled=compiled: compiled(images)
        arms |= files_of(model, images, name, folder, int8=px in options.int8_px)
    return arms


def measure(options: Options, px: int) -> Row:
    """Milliseconds of every arm, and how far and how fast it is beside others."""
    images = torch.randn(1, 3, px, px, generator=torch.Generator().manual_seed(0))
    peak = MatmulPeak(Conditions(device="cpu", threads=1), _processor_time)
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        arms = arms_of(options, px, images, Path(folder))
        check(arms)
        times = take_turns({PEAK: peak.sample, **arms}, options.rounds)
    gflops = count_gflops(build(options.size, px)[1], px)
    row: Row = {"model": f"fastitpn_{options.size}", "px": px, "batch": 1, "peak_gflops": round(peak.gflops, 1)}
    row["arms"] = {}
    for name in arms:
        arm: dict[str, Any] = {"ms": median_ms(times[name])}
        arm["over_reference"], arm["over_reference_range"] = speed_up(times[REFERENCE], times[name])
        if gflops is not None and name.endswith(" plain"):
            arm["share_of_peak"] = round(gflops / statistics.median(times[name]) / peak.gflops, 3)
        row["arms"][name] = arm
    return {**row, **comparisons(times)}


def comparisons(times: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """How much faster `fast` is than plain, and int8 than fp32, in the same runtime."""
    fast, int8 = {}, {}
    for name in times:
        runtime, *rest = name.split()
        if rest == ["fast"]:
            fast[runtime] = speed_up(times[f"{runtime} plain"], times[name])[0]
        elif rest[1:] == ["int8"]:
            int8[f"{runtime} {rest[0]}"] = speed_up(times[f"{runtime} {rest[0]}"], times[name])[0]
    return {"fast_over_plain": fast, "int8_over_fp32": int8}


def check(arms: Mapping[str, Run]) -> None:
    """Make sure that what is compared computes the same: plain arms as the reference, accelerated ones as ours."""
    expected = {name: _first(arms[arm]()) for name, arm in (("plain", REFERENCE), ("fast", "eager fast"))}
    for name, arm in arms.items():
        acceleration = name.split()[-1]
        if acceleration in expected:
            largest = expected[acceleration].abs().max()
            difference = float((_first(arm()) - expected[acceleration]).abs().max() / largest)
            if difference > TOLERANCE:
                raise SystemExit(f"{name}: differs by {difference:.1e}, more than {TOLERANCE:.0e}")


def summary(rows: list[Row]) -> dict[str, Any]:
    """The fastest arm of every row, and what it gains."""
    result = {}
    for row in rows:
        arms = row["arms"]
        for name in ACCELERATIONS:
            fastest = min((arm for arm in arms if arm.endswith(f" {name}")), key=lambda arm: arms[arm]["ms"])
            result[f"{row['px']} px, {name}"] = {"fastest": fastest, **arms[fastest]}
    return {"summary": result}


def _runner(run: Callable[[Tensor], list[Tensor]], images: Tensor) -> Run:
    return lambda: run(images)


def _first(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def _processor_time(run: Callable[[], object]) -> float:
    before = time.process_time()
    run()
    return time.process_time() - before


def run(options: Options) -> None:
    """Measures all rows, prints and stores them."""
    torch.set_num_threads(1)
    results = Results(options, summary, identity=("px",))  # a ratio is within a row
    for px in options.px:
        if not results.has(px):
            results.add(measure(options, px))
    results.finish()


if __name__ == "__main__":
    start(Options, run)
