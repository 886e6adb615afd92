"""`fastitpn report compare`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import CompareConfig


def run_compare(config: CompareConfig) -> object:
    """Calls `run_compare`."""
    from fastitpn.commands.compare import run_compare

    return run_compare(config)


COMPARE = Verb(
    config=CompareConfig,
    sentence="Put runs side by side: figures, curves over each other, differing settings.",
    example="fastitpn report compare runs/flowers runs/flowers-balanced",
    run=run_compare,
)
