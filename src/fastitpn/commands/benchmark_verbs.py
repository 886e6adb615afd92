"""The verb `benchmark` as a function, with the keys of the command line."""

from typing import Any

from fastitpn.benchmarking.benchmark import run_benchmark
from fastitpn.benchmarking.result import Benchmark
from fastitpn.config import BenchmarkConfig, build


def benchmark(**keys: Any) -> Benchmark:
    """Measure speed, operations and memory with each acceleration, beside the plain model and models of timm.

    Args:
        **keys: As on the command line (`fastitpn benchmark --help`): `model`, `px`, `batch`, `peers`, `data`, ...

    Returns:
        The figures, row by row; they are also in the folder `out`.

    Raises:
        InputError: A key, the model, a peer or the data is wrong.
    """
    return run_benchmark(build(BenchmarkConfig, keys))
