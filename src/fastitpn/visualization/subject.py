"""The model to look into: the backbone of a checkpoint of any task, of a weights file, or with random weights."""

import dataclasses
from pathlib import Path
from typing import Any

from fastitpn.console import say
from fastitpn.data.images.reading import settle_range
from fastitpn.errors import InputError
from fastitpn.models.acceleration.gathering import Windows
from fastitpn.models.backbone import FastITPN
from fastitpn.models.layers.cells import PATCH
from fastitpn.models.pyramid import STRIDES
from fastitpn.models.registry import ARCHITECTURES, create_model
from fastitpn.models.weights.file import WeightsFile, read_weights
from fastitpn.runs.acceleration import choose_acceleration, trained_acceleration
from fastitpn.runs.run import CHECKPOINTS
from fastitpn.training.config import IMAGENET_MEAN, IMAGENET_STD
from fastitpn.training.setup import arguments_of, check_model, seed_start, start_from
from fastitpn.visualization.config import VisualizeConfig

SHOWN_INSTEAD_OF_OFF = "balanced"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """A model to look into.

    Attributes:
        model: In evaluation mode, with the acceleration to show.
        name: Name of the model's size.
        weights: Where they came from, in short.
        px: Side of its input in pixels.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
    """

    model: FastITPN
    name: str
    weights: str
    px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to say about every picture."""
        acceleration = self.model.acceleration
        model = f"{self.name} at {self.px} px, {self.weights}"
        return (model,) if acceleration.off else (model, acceleration.describe())

    @property
    def grid(self) -> tuple[int, int]:
        """Tokens per column and per row."""
        return self.px // PATCH, self.px // PATCH

    @property
    def note_on_windows(self) -> str:
        """Why there is but one, if so."""
        gathering = self.model.acceleration.gathering
        if gathering is None:
            return "attention is global"
        windows = Windows.cut(*self.model.grid_size, gathering.window)
        if windows.num_windows > 1:
            return f"of up to {windows.window_height} x {windows.window_width} tokens"
        return f"one covers the map; px={2 * PATCH * gathering.window} has more"


def load_subject(config: VisualizeConfig, *, pyramid: bool, instead_of_off: str | None = None) -> Subject:
    """Build the model of a configuration.

    Args:
        config: Configuration of the command.
        pyramid: With its pyramid, if the weights have one.
        instead_of_off: The acceleration to show where none was asked for and none was trained with.

    Raises:
        InputError: The weights cannot be read or do not fit.
    """
    source = config.checkpoint or config.weights
    file = None
    if source is not None:
        file = read_weights(source.expanduser(), **config.choice)
    name = config.model or (file.size if file is not None else None)
    if name is None:
        raise InputError(
            "the weights are of a size that has no name",
            where=source,
            expected=f"one of {', '.join(ARCHITECTURES)}",
            fix="weights=FILE of a named size",
        )
    check_model(name, file)
    px = config.px or (file.px if file is not None else None) or ARCHITECTURES[name].px
    seed_start(0)
    if file is None:
        model = create_model(name, img_size=px, pyramid=pyramid)
        say("no weights given: they are random, and show nothing")
    else:
        model = _with_weights(file, arguments_of(file, config.model, config.blocks), name, px, pyramid)
    trained = trained_acceleration(file.checkpoint, file.source) if file is not None else None
    asked: str | None = config.acceleration
    if asked is None and (trained is None or trained.off):
        asked = instead_of_off
    model.set_acceleration(choose_acceleration(asked, trained))
    settle_range(config.image, (), file.checkpoint.get("pixel_range") if file is not None else None)
    normalisation = file.checkpoint.get("normalisation", {}) if file is not None else {}
    return Subject(
        model=model.eval(),
        name=name,
        weights=f"weights of {_short(source)}" if source is not None else "random weights",
        px=px,
        mean=tuple(normalisation.get("mean", IMAGENET_MEAN)),
        std=tuple(normalisation.get("std", IMAGENET_STD)),
    )


def load_accelerated_subject(config: VisualizeConfig) -> Subject:
    """Build the model of a configuration, without its pyramid, and with an acceleration in which something happens.

    Raises:
        InputError: The weights cannot be read or do not fit, or the acceleration has nothing to show.
    """
    subject = load_subject(config, pyramid=False, instead_of_off=SHOWN_INSTEAD_OF_OFF)
    acceleration, grid = subject.model.acceleration, subject.model.grid_size
    if acceleration.migration is None and acceleration.gathering is not None:
        if Windows.cut(*grid, acceleration.gathering.window).num_windows == 1:
            raise InputError(
                f"there is nothing to show: no token leaves, and one window covers the map of {grid[0]} x "
                f"{grid[1]} tokens",
                where="px",
                expected=f"more than {acceleration.gathering.window * PATCH} px",
                fix=f"px={2 * PATCH * acceleration.gathering.window}",
            )
    return subject


def _short(source: Path) -> str:
    """Name of the file; of the run, for one of its checkpoints."""
    return source.parent.parent.name if source.parent.name == CHECKPOINTS else source.name


def _with_weights(file: WeightsFile, form: dict[str, Any], name: str, px: int, pyramid: bool) -> FastITPN:
    if file.image_channels != 3:
        raise InputError(
            f"the weights are for images of {file.in_chans} channels",
            where=file.source,
            expected="3: red, green and blue",
            fix="other weights",
        )
    arguments = {key: value for key, value in form.items() if pyramid or not key.startswith("pyramid")}
    model = create_model(name, **{**arguments, "in_chans": 3, "img_size": px, "num_classes": file.num_classes})
    complete = [f"pyramid.output{stride}.norm.weight" in file.tensors for stride in STRIDES[:3]]
    levels = [place for place, has in enumerate(complete) if has]
    if model.pyramid is not None and len(levels) < 3:  # of a detector that needs no finest level
        model.pyramid.prune(levels)
    start_from(model, file, name=name, fix="weights=FILE of this model")
    return model
