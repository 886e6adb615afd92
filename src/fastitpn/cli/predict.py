"""`fastitpn predict`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import PredictConfig


def run(config: PredictConfig) -> object:
    """Calls `run_predict`."""
    from fastitpn.commands.predict import run_predict

    return run_predict(config)


VERB = Verb(
    config=PredictConfig,
    sentence="Name the classes of images and videos, or of each of their pixels, or find things in them.",
    example="fastitpn predict runs/classify photos",
    run=run,
)
