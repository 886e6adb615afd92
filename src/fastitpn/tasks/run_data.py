"""The settings and the images of the run that a checkpoint lies in, read again as the run read them."""

import shlex
from typing import Any

from fastitpn.config.stored_settings import stored_config
from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.runs.data_files import differences, list_files, read_listing
from fastitpn.runs.run import CHECKPOINTS, CONFIG, Run
from fastitpn.runs.trained_model import TrainedCheckpoint
from fastitpn.tasks.keys import FinetuneConfig
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.spec import Split, TaskSpec

_NOT_DATA = "weights: "
"""How names of files begin that a run only started from."""


def run_settings(checkpoint: TrainedCheckpoint) -> FinetuneConfig | None:
    """The settings of the run that a checkpoint lies in; None if it lies in none."""
    folder = checkpoint.path.parent.parent
    if checkpoint.path.parent.name != CHECKPOINTS or not (folder / CONFIG).is_file():
        return None
    name = TASKS.spec_of(checkpoint.task, checkpoint.path).name
    config = stored_config(TASKS.keys_of(name).train, Run(folder).config)
    return config if isinstance(config, FinetuneConfig) else None


def settings_for_evaluation(checkpoint: TrainedCheckpoint) -> FinetuneConfig:
    """The settings of a checkpoint's run, for an evaluation that is given no data.

    Raises:
        InputError: The checkpoint lies in no run.
    """
    config = run_settings(checkpoint)
    if config is None:
        raise InputError(
            "without data the validation images of the run are taken, and this checkpoint lies in no run folder",
            where=checkpoint.path,
            expected="the folder of a run with its config.yaml, or data",
            fix=f"fastitpn evaluate {shlex.quote(str(checkpoint.path))} data=FOLDER",
        )
    return config


def read_again(spec: TaskSpec[Any, Any, Any], config: FinetuneConfig, checkpoint: TrainedCheckpoint) -> Split[Any]:
    """The training and validation images of a run, which must be those of its training.

    Args:
        spec: Task of the run.
        config: Settings of the run.
        checkpoint: A checkpoint in its folder.

    Raises:
        InputError: They are gone, cannot be read, or have changed.
    """
    folder = checkpoint.path.parent.parent
    fix = f"fastitpn evaluate {shlex.quote(str(folder))} data=FOLDER"
    try:
        split = spec.open_data(config)
    except InputError as error:
        what = f"the validation images of this run cannot be read: {error.what}"
        raise InputError(what, where=error.where, expected=error.expected, fix=fix) from None
    listing = read_listing(folder)
    if listing is None:
        say("the run has no list of its files: if its data has changed, that is not noticed")
        return split
    parts = (split.train, split.val)
    files = [path for part in parts for path in (*spec.image_files(part), *spec.label_files(part))]
    before, now = (
        {name: size for name, size in names.items() if not name.startswith(_NOT_DATA)}
        for names in (listing, list_files(config, files))
    )
    if changes := differences(before, now):
        raise InputError(
            "the data of this run has changed since its training, so its validation images are not known\n"
            + "\n".join(f"    {line}" for line in changes),
            where=folder,
            expected="the files that it was trained and validated on, or data",
            fix=fix,
        )
    return split
