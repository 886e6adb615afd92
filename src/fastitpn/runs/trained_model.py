"""A trained classifier: found, read and built from its checkpoint alone."""

import os
import shlex
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from fastitpn.config import Config
from fastitpn.config.masks import given_keys
from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.registry import create_model
from fastitpn.models.weights.file import read_weights
from fastitpn.runs.acceleration import AccelerationLike, choose_acceleration, trained_acceleration
from fastitpn.runs.checkpoint import BEST, LAST, PREVIOUS, load_checkpoint
from fastitpn.runs.hub_folder import is_whole, read_whole
from fastitpn.runs.run import CHECKPOINTS

ModelT = TypeVar("ModelT", bound=nn.Module)


@dataclass(frozen=True, kw_only=True)
class TrainedCheckpoint:
    """A checkpoint that was found and read.

    Attributes:
        path: Its file.
        content: All that it holds.
    """

    path: Path
    content: Mapping[str, Any]

    @property
    def task(self) -> str | None:
        """What the model was trained for: classify, segment, detect, pretrain."""
        return self.content.get("task")

    def check_task(self, task: str, what: str) -> None:
        """Make sure that it is of a task.

        Args:
            task: Which.
            what: What such a model is called.

        Raises:
            InputError: It is of another.
        """
        if self.task != task:
            raise InputError(
                f"this is a checkpoint of the task {self.task!r}, and no {what}",
                where=self.path,
                expected=f"a checkpoint of fastitpn finetune {task}",
                fix=f"fastitpn finetune {task} data=FOLDER weights={shlex.quote(str(self.path))}",
            )

    def build(self, create: Callable[[], ModelT], expected: str) -> ModelT:
        """A model with its weights, in evaluation mode.

        Args:
            create: Makes it from what is stored beside the weights.
            expected: What the weights should be those of.

        Raises:
            InputError: It cannot be made, or the weights are those of another.
        """
        try:
            with torch.random.fork_rng(devices=[]):  # even layers that are to be filled draw start values
                model = create()
            model.load_state_dict(self.content["weights"])
        except (TypeError, KeyError, RuntimeError) as error:
            raise InputError(
                f"the model of this checkpoint cannot be built: {' '.join(str(error).split())}",
                where=self.path,
                expected=expected,
            ) from error
        return model.eval()

    def check_complete(self, needed: Iterable[str]) -> None:
        """Make sure that it has what a task needs.

        Raises:
            InputError: Some keys are absent.
        """
        if absent := [key for key in needed if key not in self.content]:
            raise InputError(
                f"the checkpoint lacks {', '.join(absent)}", where=self.path, expected="all that training writes"
            )


_NEEDED = ("model", "classes", "normalisation", "px", "weights")


@dataclass(frozen=True, kw_only=True)
class TrainedClassifier:
    """What `fastitpn finetune classify` left behind, ready to use.

    Attributes:
        path: The checkpoint.
        model: In evaluation mode, on the CPU, with the acceleration asked for.
        classes: Names, in the order of the logits.
        px: Side of the input.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
    """

    path: Path
    model: FastITPN
    classes: tuple[str, ...]
    px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def open_checkpoint(source: str | os.PathLike[str]) -> TrainedCheckpoint:
    """Find and read a checkpoint.

    Args:
        source: A checkpoint, or a run directory (its best checkpoint), or a folder of a whole model.

    Raises:
        InputError: There is none, it cannot be read, or it wants to run code.
    """
    path = Path(source).expanduser()
    if is_whole(path):
        return TrainedCheckpoint(path=path, content=read_whole(path))
    path = _find(path)
    return TrainedCheckpoint(path=path, content=_read(path))


def load_classifier(
    source: str | os.PathLike[str] | TrainedCheckpoint, acceleration: AccelerationLike | None = None
) -> TrainedClassifier:
    """Find, read and build a classifier.

    Args:
        source: A checkpoint, or a run directory (its best checkpoint); or what `open_checkpoint` made of it.
        acceleration: To run it with; None for the one it was trained with. A line is printed if it is another.

    Raises:
        InputError: There is none, it cannot be read, wants to run code, or is not a classifier with its classes; or
            the acceleration does not exist, or does not fit the model.
    """
    checkpoint = source if isinstance(source, TrainedCheckpoint) else open_checkpoint(source)
    path, content = checkpoint.path, checkpoint.content
    if checkpoint.task != "classify" or not content.get("classes"):
        raise _no_classes(f"a checkpoint of the task {checkpoint.task!r}", path)
    checkpoint.check_complete(_NEEDED)
    model = _build(checkpoint)
    model.set_acceleration(choose_acceleration(acceleration, trained_acceleration(content, path)))
    return TrainedClassifier(
        path=path,
        model=model,
        classes=tuple(content["classes"]),
        px=content["px"],
        mean=tuple(content["normalisation"]["mean"]),
        std=tuple(content["normalisation"]["std"]),
    )


def check_unused(
    config: Config, checkpoint: TrainedCheckpoint, *groups: type[Config], but: Collection[str] = ()
) -> None:
    """Make sure that a command has no keys that mean nothing for the task of its checkpoint.

    Args:
        config: Of the command.
        checkpoint: Its checkpoint.
        *groups: Those that the keys belong to.
        but: Keys of them that mean something.

    Raises:
        InputError: Some have another value than their default.
    """
    keys = [key for group in groups for key in given_keys(config, group) if key not in but]
    if keys:
        raise InputError(
            f"{', '.join(keys)}: of no use for a checkpoint of the task {checkpoint.task!r}",
            where=checkpoint.path,
            expected="keys of its task",
            fix=f"leave {'them' if len(keys) > 1 else 'it'} out, or give a checkpoint of the task that has such keys",
        )


def _find(path: Path) -> Path:
    if path.is_file():
        return path
    if not path.exists():
        raise InputError(
            "there is no such checkpoint or run",
            where=path,
            expected="a run directory, or a .ckpt file",
            fix=f"see what is there: ls {next(parent for parent in path.absolute().parents if parent.exists())}",
        )
    candidates = [path / CHECKPOINTS / name for name in (BEST, LAST, PREVIOUS)]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise InputError(
            "this folder has no checkpoint",
            where=path,
            expected="a run directory that has one, or a .ckpt file",
            fix="fastitpn finetune classify data=FOLDER makes one",
        )
    return found


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return load_checkpoint(path)
    except InputError as error:
        try:
            file = read_weights(path)
        except InputError as better:  # it tells code in a file, and weights of other models, from damage
            fix = error.fix or better.fix
            raise InputError(better.what, where=path, expected=better.expected, fix=fix) from None
        if file.checkpoint:
            raise  # ours, but damaged
    raise _no_classes(f"a {file.kind} file without names of classes", path)


def _no_classes(what: str, path: Path) -> InputError:
    return InputError(
        f"this is {what}, and no trained classifier",
        where=path,
        expected="a checkpoint of fastitpn finetune classify",
        fix=f"fastitpn finetune classify data=FOLDER weights={shlex.quote(str(path))}",
    )


def _build(checkpoint: TrainedCheckpoint) -> FastITPN:
    name, arguments = checkpoint.content["model"]["name"], checkpoint.content["model"]["arguments"]
    model = checkpoint.build(
        lambda: create_model(name, **{**arguments, "weight_init": "skip"}),
        f"the weights of create_model({name!r}) with the arguments stored beside them",
    )
    names = len(checkpoint.content["classes"])
    if model.num_classes != names:
        raise InputError(f"the checkpoint has {names} names for {model.num_classes} classes", where=checkpoint.path)
    return model
