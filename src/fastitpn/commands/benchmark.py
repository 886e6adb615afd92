"""`fastitpn benchmark`: what each acceleration gains in speed."""

from typing import TYPE_CHECKING, Any

from fastitpn.benchmarking.config import BenchmarkConfig
from fastitpn.commands.verb import Verb
from fastitpn.config import build

if TYPE_CHECKING:
    from fastitpn.benchmarking.result import Benchmark

VERB = Verb(
    config=BenchmarkConfig,
    sentence="Measure speed, operations and memory with each acceleration, beside the plain model and others.",
    example="fastitpn benchmark model=fastitpn_base px=224,512 peers=vit_base_patch16_224",
    run="fastitpn.benchmarking.benchmark:run_benchmark",
)


def benchmark(**keys: Any) -> "Benchmark":
    """Measure speed, operations and memory with each acceleration, beside the plain model and models of timm.

    Args:
        **keys: As on the command line (`fastitpn benchmark --help`): `model`, `px`, `batch`, `peers`, `data`, ...

    Returns:
        The metrics, row by row; they are also in the folder `out`.

    Raises:
        InputError: A key, the model, a peer or the data is wrong.
    """
    result: Benchmark = VERB(build(BenchmarkConfig, keys))
    return result
