"""`fastitpn demo`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import DemoConfig


def run(config: DemoConfig) -> object:
    """Calls `run_demo`."""
    from fastitpn.commands.demo import run_demo

    return run_demo(config)


VERB = Verb(
    config=DemoConfig,
    sentence="Show the whole way, from pre-training to predictions, on pictures drawn on the spot.",
    example="fastitpn demo",
    run=run,
)
