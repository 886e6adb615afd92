"""`fastitpn finetune TASK`: a verb for each task that is registered."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.tasks.registry import TASKS

if TYPE_CHECKING:
    from fastitpn.runs.run import Run

_PREFIX = "finetune "


def verbs() -> Sequence[Verb]:
    """A verb for each task that is trained by fine-tuning."""
    keys = [TASKS.keys_of(name) for name in TASKS]
    return [
        Verb(config=k.train, sentence=k.sentence, example=k.example, run="fastitpn.commands.finetune:run", trains=True)
        for k in keys
        if k.train._command.startswith(_PREFIX)
    ]


def finetune(task: str, *, data: str | os.PathLike[str], **keys: Any) -> "Run":
    """Fine-tune for a task.

    Args:
        task: "classify", "segment", "detect", or another that is registered.
        data: To classify, a folder with a sub-folder of images for each class, or a CSV file; to segment, a folder
            with the folders images and masks; to detect, a folder of images with annotations.
        **keys: As on the command line (`fastitpn finetune TASK --help`): `weights`, `px`, `epochs`, `out`, ...

    Returns:
        The run.

    Raises:
        InputError: A key, the data, the weights or the folder of the run is wrong.
    """
    known = [verb.words[1] for verb in verbs()]
    if task not in known:
        raise InputError(
            f"no task {task!r}",
            expected=" or ".join([", ".join(known[:-1]), known[-1]]),
            fix="finetune('classify', data=...)",
        )
    return run(build(TASKS.keys_of(task).train, {"data": data, **keys}))


def run(config: Any) -> "Run":
    """Train, or go on with an interrupted run."""
    from fastitpn.tasks.finetuning import run_finetune

    return run_finetune(config)
