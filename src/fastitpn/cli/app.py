"""`fastitpn app`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import AppConfig


def run(config: AppConfig) -> None:
    """Calls `run_app`."""
    from fastitpn.application.server import run_app

    run_app(config)


VERB = Verb(
    config=AppConfig,
    sentence="Try a model on a local page: what it finds, which tokens leave, how fast it is.",
    example="fastitpn app runs/classify",
    run=run,
)
