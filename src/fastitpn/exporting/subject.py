"""The model to export, of a trained model or a file of weights."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from fastitpn.data.images.pixel_range import PixelRange
from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.exportable import Exportable
from fastitpn.exporting.network import Network, PyramidLevels, TrunkMap
from fastitpn.exporting.pictures import whole_view
from fastitpn.models.backbone import FastITPN
from fastitpn.models.registry import ARCHITECTURES, create_model
from fastitpn.models.weights.file import read_weights
from fastitpn.runs.acceleration import choose_acceleration, trained_acceleration
from fastitpn.runs.run import CHECKPOINTS
from fastitpn.runs.trained_model import Trained
from fastitpn.training.config import IMAGENET_MEAN, IMAGENET_STD
from fastitpn.training.metric import Metric
from fastitpn.training.setup import check_model, start_from

FEATURES = "features"
"""The task of a model that is exported without a head."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model to export.

    Attributes:
        task: Name of its task, or `FEATURES`.
        network: What is exported, in evaluation mode, on the CPU.
        backbone: The part of it that is a `FastITPN`.
        model: Name and arguments of `create_model` for the backbone.
        px: Native height and width of the input in pixels.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
        whole: What compares and measures the network of a task; None for features.
        head: Head of the trained model, also where only its features are exported; None for a task with but one.
        training: What the checkpoint says of its training: `config`, `step`; empty for published files.
        metrics: What the checkpoint says that this network, with its head, gets right; empty without that head.
        measured: What these numbers are.
        source: The run or the file, in short.
    """

    task: str
    network: Network
    backbone: FastITPN
    model: dict[str, Any]
    px: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    whole: Exportable | None = None
    head: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    measured: tuple[Metric, ...] = ()
    source: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it is all of a checkpoint of a task."""
        return self.task != FEATURES and self.training.get("task") == self.task

    @property
    def is_classifier(self) -> bool:
        """Whether it is a backbone with its own classifier, all of which timm makes."""
        return self.whole is not None and getattr(self.network, "model", None) is self.backbone

    @property
    def any_size(self) -> bool:
        """Whether predictions look at images in sizes of their own."""
        return self.whole is not None and self.whole.any_size

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names, in the order of the outputs; None for features, and for published files."""
        return (self.whole.classes or None) if self.whole is not None else None

    @property
    def image_range(self) -> dict[str, Any] | None:
        """Black and white of the training's images with more than 8 bits, plain types; None if it had none."""
        text = self.training.get("pixel_range")
        extent = PixelRange.parse(text) if isinstance(text, str) else None
        if extent is None:
            return None
        values = {"black": extent.low, "white": extent.high, "cut": extent.cut, "white_float": extent.white_float}
        return {"range": text, **values}

    def view(self, image: Image.Image, size: tuple[int, int]) -> Tensor:
        """From an RGB picture to an input [3, height, width]."""
        return self.whole.view(image, size) if self.whole else whole_view(image, size, self.mean, self.std)

    def describe_view(self) -> dict[str, Any]:
        """The view in plain types."""
        if self.whole is not None:
            return self.whole.describe_view(self.px)
        return {"both_sides": list(self.px), "interpolation": "bilinear"}


def trained_subject(config: ExportConfig, trained: Trained[Any, Any], whole: Exportable) -> Subject:
    """The subject of a trained model: all of it, or the features of its backbone.

    Raises:
        InputError: The model has no such part, or it cannot be exported so.
    """
    part = config.part or "whole"
    if part == "whole" and config.format != "hub":
        whole.check(config)
    network = _part(part, trained.backbone, whole.network, trained.path)
    is_whole = network is whole.network
    model, is_model = dict(trained.about.model), trained.model is trained.backbone
    arguments = model["arguments"] if is_model else {**model["arguments"], "pyramid": True, "global_pool": ""}
    return Subject(
        task=trained.content["task"] if is_whole else FEATURES,
        network=network,
        backbone=trained.backbone,
        model={**model, "arguments": arguments},
        px=_size(config, trained.px),
        mean=trained.mean,
        std=trained.std,
        whole=whole if is_whole else None,
        head=whole.head,
        training=trained.content,
        metrics=trained.content.get("metrics", {}) if is_whole else {},
        source=_short(trained.path),
    )


def weights_subject(
    config: ExportConfig, path: Path, classifier: Callable[[FastITPN, Sequence[float], Sequence[float]], Exportable]
) -> Subject:
    """A pre-trained model without what only pre-training needs; or a published file."""
    file = read_weights(path.expanduser(), **config.choice)
    name = file.size
    if name is None or file.image_channels != 3:
        raise InputError(
            f"these weights are of a size that has no name, or for {file.in_chans} channels",
            where=file.source,
            expected=f"one of {', '.join(ARCHITECTURES)} for 3 channels",
        )
    check_model(name)
    classifies = file.kind == "classifier"
    part = config.part or ("whole" if classifies else "pyramid" if file.pyramid_dim is not None else "trunk")
    arguments: dict[str, Any] = {**file.arguments(), "in_chans": 3, "num_classes": file.num_classes}
    if not classifies:
        arguments["global_pool"] = ""
    if part != "pyramid":
        arguments = {key: value for key, value in arguments.items() if not key.startswith("pyramid")}
    model = create_model(name, **arguments)
    normalisation = file.checkpoint.get("normalisation", {})
    mean, std = (
        tuple(normalisation.get(key, known)) for key, known in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD))
    )
    whole = classifier(model, mean, std) if classifies else None
    network = _part(part, model, whole.network if whole is not None else None, file.source)
    start_from(model, file, name=name, fix="another file")
    model.set_acceleration(choose_acceleration(config.acceleration, trained_acceleration(file.checkpoint, file.source)))
    return Subject(
        task="classify" if part == "whole" else FEATURES,
        network=network.eval(),
        backbone=model,
        model={"name": name, "arguments": arguments},
        px=_size(config, file.px or ARCHITECTURES[name].px),
        mean=mean,
        std=std,
        whole=whole if part == "whole" else None,
        training=file.checkpoint,
        metrics=file.checkpoint.get("metrics", {}),
        source=_short(Path(file.source)),
    )


def _part(part: str, model: FastITPN, whole: Network | None, path: object) -> Network:
    """The network for a value of `part`.

    Raises:
        InputError: There is no such part.
    """
    if part == "pyramid" and model.pyramid is not None:
        return PyramidLevels(model).eval()
    if part == "trunk":
        return TrunkMap(model).eval()
    if part == "whole" and whole is not None:
        return whole.eval()
    has = "no head that could be exported" if part == "whole" else "no pyramid"
    raise InputError(
        f"this model has {has}",
        where=path,
        expected=" or ".join(
            name for name, there in (("whole", whole), ("pyramid", model.pyramid)) if there is not None
        )
        or "trunk",
        fix="part=trunk",
    )


def _size(config: ExportConfig, px: int) -> tuple[int, int]:
    height = config.px or px
    return height, config.width or height


def _short(path: Path) -> str:
    return path.parent.parent.name if path.parent.name == CHECKPOINTS else path.name
