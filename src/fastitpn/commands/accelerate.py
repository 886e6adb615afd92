"""`fastitpn accelerate`: the acceleration that suits a model, its images and its machine."""

import os
from typing import TYPE_CHECKING, Any

from fastitpn.commands.of_checkpoint import keys_of_all, keys_of_task, union_of
from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.tasks.keys import EvaluateConfig
from fastitpn.tuning.config import AccelerateConfig

if TYPE_CHECKING:
    from fastitpn.tuning.outcome import Accelerated


def _keys() -> type[AccelerateConfig]:
    """The keys of the command, with those that tell the tasks where labels are."""
    of_tasks = keys_of_all("evaluate", EvaluateConfig)
    return union_of(AccelerateConfig, AccelerateConfig, of_tasks)  # type: ignore[arg-type]  # mypy: not hashable


def verb() -> Verb:
    """The verb, with the keys of all tasks that are registered."""
    return Verb(
        config=_keys(),
        sentence="Find the fastest acceleration within a limit of the loss, measured on your images.",
        example="fastitpn accelerate runs/classify flowers/val max_loss=0.5 minutes=10",
        run="fastitpn.commands.accelerate:run",
    )


def accelerate(checkpoint: str | os.PathLike[str], data: str | os.PathLike[str], **keys: Any) -> "Accelerated":
    """Find the fastest acceleration that loses no more than it may, and write a copy of the run that has it.

    Args:
        checkpoint: Checkpoint file or run directory of any task that is evaluated.
        data: Labelled images on which the loss is measured.
        **keys: As on the command line (`fastitpn accelerate --help`): `max_loss`, `minutes`, `runtime`, `train`, ...

    Returns:
        The setting, its speed and its loss; in the folder `out` a copy of the run with `acceleration=tuned`.

    Raises:
        InputError: A key, the checkpoint or the data is wrong, or no setting loses as little.
    """
    given = {"checkpoint": checkpoint, "data": data, **keys}
    return run(build(_keys(), given))


def run(config: AccelerateConfig) -> "Accelerated":
    """Open the checkpoint, and search."""
    from fastitpn.runs.trained_model import open_checkpoint
    from fastitpn.tuning.accelerate import run_accelerate

    checkpoint = open_checkpoint(config.checkpoint)
    keys = keys_of_task(config, "evaluate", checkpoint.task, checkpoint.path, but=AccelerateConfig)
    return run_accelerate(config, keys, checkpoint)
