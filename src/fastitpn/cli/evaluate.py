"""`fastitpn evaluate`."""

from fastitpn.cli.verb import Verb
from fastitpn.config import EvaluateConfig


def run(config: EvaluateConfig) -> object:
    """Calls `run_evaluate`."""
    from fastitpn.tasks.classify.evaluation import run_evaluate

    return run_evaluate(config)


VERB = Verb(
    config=EvaluateConfig,
    sentence="Measure a trained model on labelled images, or on images with masks or boxes.",
    example="fastitpn evaluate runs/classify flowers/test",
    run=run,
)
