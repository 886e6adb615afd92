"""A trained model: found, read and built from its checkpoint alone."""

import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import torch
from torch import nn

from fastitpn.errors import InputError
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.models.backbone import FastITPN
from fastitpn.models.weights.cache import fetched
from fastitpn.models.weights.file import read_weights
from fastitpn.models.weights.published import PREFIX, published_file
from fastitpn.runs.allocation import Bound
from fastitpn.runs.checkpoint import BEST, LAST, PREVIOUS, load_checkpoint
from fastitpn.runs.description import ModelDescription
from fastitpn.runs.exported_folder import is_exported_folder, read_exported_folder
from fastitpn.runs.hub_folder import is_hub_folder, read_hub_folder
from fastitpn.runs.run import CHECKPOINTS

ModelT = TypeVar("ModelT", bound=nn.Module)
AboutT = TypeVar("AboutT", bound=ModelDescription)


@dataclass(frozen=True, kw_only=True)
class TrainedCheckpoint:
    """A checkpoint that was found and read.

    Attributes:
        path: File of the checkpoint, or folder of a whole or an exported model.
        content: All that it holds.
        exported: What `model.json` says of an exported model, which has no weights; None for others.
    """

    path: Path
    content: Mapping[str, Any]
    exported: Mapping[str, Any] | None = None

    @property
    def task(self) -> str | None:
        """What the model was trained for: classify, segment, detect, pretrain."""
        return self.content.get("task")

    def check_task(self, task: str, what: str) -> None:
        """Make sure that it is of a task.

        Args:
            task: Name of the task that is wanted.
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

    def describe(self, description: type[AboutT]) -> AboutT:
        """What it says of its model.

        Raises:
            InputError: Something is absent, or nothing that a training writes.
        """
        self.check_complete((*description.needed, *(() if self.exported is not None else ("weights",))))
        try:
            return description.from_dict(self.content)
        except InputError as error:
            raise InputError(error.what, where=self.path, expected=error.expected, fix=error.fix) from None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"the description of this checkpoint's model cannot be read: {type(error).__name__}: {error}",
                where=self.path,
                expected="all that training writes",
            ) from error

    def build(self, create: Callable[[], ModelT], expected: str) -> ModelT:
        """A model with its weights, in evaluation mode.

        Args:
            create: Makes it from what is stored beside the weights.
            expected: What the weights should be those of.

        Raises:
            InputError: It cannot be made, or the weights are those of another.
        """
        try:
            # Even layers that are to be filled draw start values.
            with torch.random.fork_rng(devices=[]), Bound(self.content["weights"]):
                model = create()
            model.load_state_dict(self.content["weights"])
        except (TypeError, KeyError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
            raise InputError(
                f"the model of this checkpoint cannot be built: {' '.join(str(error).split())}",
                where=self.path,
                expected=expected,
            ) from error
        return model.eval()

    def check_weights(self) -> None:
        """Make sure that it has weights, and is no exported model.

        Raises:
            InputError: It is one.
        """
        if self.exported is not None:
            raise no_weights(self.path)

    def check_complete(self, needed: Iterable[str]) -> None:
        """Make sure that it has what a task needs.

        Raises:
            InputError: Some keys are absent.
        """
        if absent := [key for key in needed if key not in self.content]:
            raise InputError(
                f"the checkpoint lacks {', '.join(absent)}", where=self.path, expected="all that training writes"
            )


@dataclass(frozen=True, kw_only=True)
class Trained(Generic[ModelT, AboutT]):
    """A trained model, ready to use.

    Attributes:
        path: File of the checkpoint, or folder of an exported model.
        model: In evaluation mode, on the CPU, with the acceleration that was asked for; of an export what stands for
            it, see `TaskSpec.exported`.
        about: What the checkpoint says of it.
        acceleration: What it runs with; `backbone` can be switched to another.
        fast_itpn: The part of it that is a `FastITPN`; None for an exported model.
        content: All that the checkpoint holds.
    """

    path: Path
    model: ModelT
    about: AboutT
    acceleration: Acceleration
    fast_itpn: FastITPN | None
    content: Mapping[str, Any] = field(repr=False)

    @property
    def backbone(self) -> FastITPN:
        """The part of it that is a `FastITPN`.

        Raises:
            InputError: It is an exported model, of which there is but the graph.
        """
        if self.fast_itpn is None:
            raise no_weights(self.path)
        return self.fast_itpn

    @property
    def px(self) -> int:
        """Image size in pixels."""
        return self.about.px

    @property
    def mean(self) -> tuple[float, ...]:
        """Per channel, subtracted from values in 0 to 1."""
        return self.about.mean

    @property
    def std(self) -> tuple[float, ...]:
        """Per channel, divided by."""
        return self.about.std

    def at(self, px: int | None) -> Self:
        """The model looking at images in another size; None keeps it."""
        return replace(self, about=self.about.at(px))


def open_checkpoint(source: str | os.PathLike[str]) -> TrainedCheckpoint:
    """Find and read a checkpoint.

    Args:
        source: A checkpoint, or a run directory (its best checkpoint), or a folder of a whole or an exported model.

    Raises:
        InputError: There is none, it cannot be read, or it wants to run code; or an export was changed.
    """
    path = Path(source).expanduser()
    if is_exported_folder(path):
        exported = read_exported_folder(path)
        return TrainedCheckpoint(path=path, content=_predicting(exported, path), exported=exported)
    if is_hub_folder(path):
        return TrainedCheckpoint(path=path, content=read_hub_folder(path))
    path = _find(path)
    return TrainedCheckpoint(path=path, content=_read(path))


def _predicting(exported: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    """What an export says of the model that was trained.

    Raises:
        InputError: It gives no predictions.
    """
    trained: Mapping[str, Any] | None = exported["trained"]
    if trained is None:
        raise InputError(
            "this export gives features, or classes without names: it cannot predict by itself",
            where=path,
            expected="an export of all of a trained model",
            fix="see run.py in the folder, or export a run with part=whole",
        )
    return trained


def _find(path: Path) -> Path:
    if str(path).startswith(PREFIX):
        return fetched(published_file(str(path)))
    if path.is_file():
        return path
    if not path.exists():
        raise InputError(
            "there is no such checkpoint or run",
            where=path,
            expected="a run directory, or a .ckpt file",
            fix=f"list the folder: ls {next(parent for parent in path.absolute().parents if parent.exists())}",
        )
    candidates = [path / CHECKPOINTS / name for name in (BEST, LAST, PREVIOUS)]
    checkpoint = next((candidate for candidate in candidates if candidate.is_file()), None)
    if checkpoint is None:
        raise InputError(
            "this folder has no checkpoint",
            where=path,
            expected="a run directory that has one, or a .ckpt file",
            fix="fastitpn finetune classify data=FOLDER makes one",
        )
    return checkpoint


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
    raise no_model(f"a {file.kind} file without names of classes", path)


def no_weights(path: Path) -> InputError:
    """The error for an exported model where weights are needed."""
    return InputError(
        "this is an exported model: a graph, whose weights cannot be read or changed",
        where=path,
        expected="the run or the checkpoint that was exported",
        fix="give the run folder in its place",
    )


def no_model(what: str, path: Path) -> InputError:
    """The error for a file that is no trained model of a task."""
    return InputError(
        f"this is {what}, and no trained classifier",
        where=path,
        expected="a checkpoint of fastitpn finetune classify",
        fix=f"fastitpn finetune classify data=FOLDER weights={shlex.quote(str(path))}",
    )
