"""`fastitpn evaluate`: how good a trained model is."""

import os
from typing import TYPE_CHECKING, Any

from fastitpn.commands.of_checkpoint import keys_of_all, keys_of_task
from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.tasks.keys import EvaluateConfig

if TYPE_CHECKING:
    from fastitpn.tasks.evaluation import Evaluation


def verb() -> Verb:
    """The verb, with the keys of all tasks that are registered."""
    return Verb(
        config=keys_of_all("evaluate", EvaluateConfig),
        sentence="Measure a trained model on labelled images, or on images with masks or boxes.",
        example="fastitpn evaluate runs/classify flowers/test",
        run="fastitpn.commands.evaluate:run",
    )


def evaluate(
    checkpoint: str | os.PathLike[str], data: str | os.PathLike[str] | None = None, **keys: Any
) -> "Evaluation":
    """Measure a trained model on labelled images, or on images with masks or boxes, as its checkpoint says.

    Args:
        checkpoint: Checkpoint file or run directory.
        data: Labelled images, in a form that `finetune` takes for the checkpoint's task; None takes the images that
            the run itself was validated on.
        **keys: As on the command line (`fastitpn evaluate --help`): `px`, `batch`, `out`, ...

    Returns:
        Metrics, tables and pictures of its task.

    Raises:
        InputError: A key, the checkpoint or the data is wrong.
    """
    given = {"checkpoint": checkpoint, "data": data, **keys}
    return run(build(keys_of_all("evaluate", EvaluateConfig), given))


def run(config: EvaluateConfig) -> "Evaluation":
    """Open the checkpoint, and measure as its task does."""
    from fastitpn.runs.trained_model import open_checkpoint
    from fastitpn.tasks.evaluating import run_evaluation

    checkpoint = open_checkpoint(config.checkpoint)
    return run_evaluation(keys_of_task(config, "evaluate", checkpoint.task, checkpoint.path), checkpoint)
