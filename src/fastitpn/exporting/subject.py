"""The model to export, built from a checkpoint or a file of weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.networks import Classify, Detect, Network, PyramidLevels, Segment, TrunkMap
from fastitpn.models.backbone import FastITPN
from fastitpn.models.registry import ARCHITECTURES, create_model
from fastitpn.models.weights.file import read_weights
from fastitpn.runs.acceleration import choose_acceleration, trained_acceleration
from fastitpn.runs.run import CHECKPOINTS
from fastitpn.runs.trained_model import TrainedCheckpoint, load_classifier, open_checkpoint
from fastitpn.tasks.detect.trained import load_detector
from fastitpn.tasks.segment.trained import load_segmenter
from fastitpn.training.config import IMAGENET_MEAN, IMAGENET_STD
from fastitpn.training.setup import check_model, start_from

FEATURES = "features"
"""The task of a model that is exported without a head."""
EXPORTED = ("dino", "faster_rcnn", "mask_rcnn", "cascade_mask_rcnn")
"""Detectors that can be exported whole, the latter ones image by image in ONNX alone."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model to export.

    Attributes:
        task: `classify`, `segment`, `detect`, or `FEATURES`.
        network: What is exported, in evaluation mode, on the CPU.
        backbone: The part of it that is a `FastITPN`.
        model: Name and arguments of `create_model` for the backbone.
        px: Native height and width of the input.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
        classes: Names, in the order of the outputs; None for features, and for published files.
        masks: Of a segmentation network: names, colours, and how its masks were numbered.
        things: Of a detector: names, and their ids in the annotations of its training.
        head: Of a segmentation network or a detector.
        training: What the checkpoint says of its training: `metrics`, `config`, `step`; empty for published files.
        source: The run or the file, in short.
    """

    task: str
    network: Network
    backbone: FastITPN
    model: dict[str, Any]
    px: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...] | None = None
    masks: SegmentationClasses | None = None
    things: DetectionClasses | None = None
    head: str | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it is all of a checkpoint of a task."""
        return self.task != FEATURES and self.training.get("task") == self.task


def load_subject(config: ExportConfig) -> Subject:
    """Build what a configuration asks for.

    Raises:
        InputError: The checkpoint cannot be read, or has no such part.
    """
    try:
        checkpoint = open_checkpoint(config.checkpoint)
    except InputError:
        return _from_weights(config, config.checkpoint)  # a published file; else it says what is wrong
    load = _LOADERS.get(checkpoint.task or "")
    if load is None:
        raise InputError(
            f"a checkpoint of the task {checkpoint.task!r} cannot be exported yet",
            where=checkpoint.path,
            expected=f"one of the tasks {', '.join(_LOADERS)}",
        )
    return load(config, checkpoint)


def _from_classifier(config: ExportConfig, checkpoint: TrainedCheckpoint) -> Subject:
    trained = load_classifier(checkpoint, config.acceleration)
    whole = Classify(trained.model)
    network = _part(config.part or "whole", trained.model, whole, checkpoint.path)
    return Subject(
        task="classify" if network is whole else FEATURES,
        network=network,
        backbone=trained.model,
        model=dict(checkpoint.content["model"]),
        px=_size(config, trained.px),
        mean=trained.mean,
        std=trained.std,
        classes=trained.classes if network is whole else None,
        training=checkpoint.content,
        source=_short(checkpoint.path),
    )


def _from_segmenter(config: ExportConfig, checkpoint: TrainedCheckpoint) -> Subject:
    trained = load_segmenter(checkpoint, config.acceleration)
    whole = Segment(trained.model)
    network = _part(config.part or "whole", trained.model.backbone, whole, checkpoint.path)
    model = checkpoint.content["model"]
    return Subject(
        task="segment" if network is whole else FEATURES,
        network=network,
        backbone=trained.model.backbone,
        model={"name": model["name"], "arguments": {**model["arguments"], "pyramid": True, "global_pool": ""}},
        px=_size(config, trained.px),
        mean=trained.mean,
        std=trained.std,
        classes=trained.classes.names if network is whole else None,
        masks=trained.classes if network is whole else None,
        head=checkpoint.content["head"]["name"],
        training=checkpoint.content,
        source=_short(checkpoint.path),
    )


def _from_detector(config: ExportConfig, checkpoint: TrainedCheckpoint) -> Subject:
    trained = load_detector(checkpoint, config.acceleration)
    model, detector = checkpoint.content["model"], checkpoint.content["detector"]["name"]
    if detector not in EXPORTED and config.part in (None, "whole") and config.format != "hub":
        raise InputError(
            f"a {detector} cannot be exported whole yet",
            where=checkpoint.path,
            expected=f"its backbone alone, or one of the detectors {', '.join(EXPORTED)}",
            fix="part=pyramid, or format=hub",
        )
    if config.part in (None, "whole") and config.precision not in ("fp32", "int8"):
        raise InputError(
            f"a detector cannot be exported in {config.precision}: which places it looks at closely hangs on small "
            "differences",
            where="precision",
            expected="fp32 or int8",
            fix="precision=fp32",
        )
    whole = Detect(trained.model)
    network = _part(config.part or "whole", trained.model.backbone, whole, checkpoint.path)
    return Subject(
        task="detect" if network is whole else FEATURES,
        network=network,
        backbone=trained.model.backbone,
        model={"name": model["name"], "arguments": {**model["arguments"], "pyramid": True, "global_pool": ""}},
        px=_size(config, trained.px),
        mean=trained.mean,
        std=trained.std,
        classes=trained.classes.names if network is whole else None,
        things=trained.classes if network is whole else None,
        head=detector,
        training=checkpoint.content,
        source=_short(checkpoint.path),
    )


def _from_pretraining(config: ExportConfig, checkpoint: TrainedCheckpoint) -> Subject:
    return _from_weights(config, checkpoint.path)


_LOADERS: dict[str, Callable[[ExportConfig, TrainedCheckpoint], Subject]] = {
    "classify": _from_classifier,
    "segment": _from_segmenter,
    "detect": _from_detector,
    "pretrain": _from_pretraining,
}
"""By the task of a checkpoint."""


def _from_weights(config: ExportConfig, path: Path) -> Subject:
    """A pre-trained model without what only pre-training needs; or a published file."""
    file = read_weights(path.expanduser())
    if file.model is None or file.in_chans != 3:
        raise InputError(
            f"these weights are of a size that has no name, or for {file.in_chans} channels",
            where=file.source,
            expected=f"one of {', '.join(ARCHITECTURES)} for 3 channels",
        )
    check_model(file.model)
    classifies = file.kind == "classifier"
    part = config.part or ("whole" if classifies else "pyramid" if file.pyramid_dim is not None else "trunk")
    arguments: dict[str, Any] = {**file.arguments(), "num_classes": file.num_classes}
    if not classifies:
        arguments["global_pool"] = ""
    if part != "pyramid":
        arguments = {key: value for key, value in arguments.items() if not key.startswith("pyramid")}
    model = create_model(file.model, **arguments)
    network = _part(part, model, Classify(model) if classifies else None, file.source)
    start_from(model, file, name=file.model, fix="another file")
    model.set_acceleration(choose_acceleration(config.acceleration, trained_acceleration(file.checkpoint, file.source)))
    normalisation = file.checkpoint.get("normalisation", {})
    return Subject(
        task="classify" if part == "whole" else FEATURES,
        network=network.eval(),
        backbone=model,
        model={"name": file.model, "arguments": arguments},
        px=_size(config, file.px or ARCHITECTURES[file.model]["img_size"]),
        mean=tuple(normalisation.get("mean", IMAGENET_MEAN)),
        std=tuple(normalisation.get("std", IMAGENET_STD)),
        training=file.checkpoint,
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
