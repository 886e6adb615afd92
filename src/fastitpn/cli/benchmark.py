"""`fastitpn benchmark`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import BenchmarkConfig


def run(config: BenchmarkConfig) -> object:
    """Calls `run_benchmark`."""
    from fastitpn.benchmarking.benchmark import run_benchmark

    return run_benchmark(config)


VERB = Verb(
    config=BenchmarkConfig,
    sentence="Measure speed, operations and memory with each acceleration, beside the plain model and others.",
    example="fastitpn benchmark model=fastitpn_base px=224,512 peers=vit_base_patch16_224",
    run=run,
)
