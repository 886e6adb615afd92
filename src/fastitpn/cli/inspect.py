"""`fastitpn inspect`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import InspectConfig


def run(config: InspectConfig) -> object:
    """Calls `run_inspect`."""
    from fastitpn.commands.inspection import run_inspect

    return run_inspect(config)


VERB = Verb(
    config=InspectConfig,
    sentence="Say what a file of weights holds and whether it fits a model.",
    example="fastitpn inspect fast_itpn_base.pt",
    run=run,
)
