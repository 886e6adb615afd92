"""A trained segmentation network: found, read and built from its checkpoint alone."""

import os
from dataclasses import dataclass
from pathlib import Path

from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.runs.acceleration import AccelerationLike, choose_acceleration, trained_acceleration
from fastitpn.runs.trained_model import TrainedCheckpoint, open_checkpoint
from fastitpn.tasks.segment.model import Segmenter, create_segmenter

_NEEDED = ("model", "head", "classes", "colors", "masks", "normalisation", "px", "resize", "weights")


@dataclass(frozen=True, kw_only=True)
class TrainedSegmenter:
    """What `fastitpn finetune segment` left behind, ready to use.

    Attributes:
        path: The checkpoint.
        model: In evaluation mode, on the CPU, with the acceleration asked for.
        classes: Names, colours, and how the masks of its training were numbered.
        px: Side of its crops.
        resize: Whether images were brought to `px`.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
    """

    path: Path
    model: Segmenter
    classes: SegmentationClasses
    px: int
    resize: bool
    mean: tuple[float, ...]
    std: tuple[float, ...]


def load_segmenter(
    source: str | os.PathLike[str] | TrainedCheckpoint, acceleration: AccelerationLike | None = None
) -> TrainedSegmenter:
    """Find, read and build a segmentation network.

    Args:
        source: A checkpoint, or a run directory (its best checkpoint); or what `open_checkpoint` made of it.
        acceleration: To run it with; None for the one it was trained with. A line is printed if it is another.

    Raises:
        InputError: There is none, it cannot be read, wants to run code, or is of another task; or the acceleration
            does not exist, or does not fit the model.
    """
    checkpoint = source if isinstance(source, TrainedCheckpoint) else open_checkpoint(source)
    path, content = checkpoint.path, checkpoint.content
    checkpoint.check_task("segment", "segmentation network")
    checkpoint.check_complete(_NEEDED)
    model = checkpoint.build(
        lambda: create_segmenter(content["model"], content["head"], len(content["classes"]), weight_init="skip"),
        "the weights of the model and the head that are stored beside them",
    )
    model.backbone.set_acceleration(choose_acceleration(acceleration, trained_acceleration(content, path)))
    things = content["masks"].get("things")
    return TrainedSegmenter(
        path=path,
        model=model,
        classes=SegmentationClasses(
            names=tuple(content["classes"]),
            colors=tuple((color[0], color[1], color[2]) for color in content["colors"]),
            **{**content["masks"], "things": None if things is None else tuple(things)},
        ),
        px=content["px"],
        resize=content["resize"],
        mean=tuple(content["normalisation"]["mean"]),
        std=tuple(content["normalisation"]["std"]),
    )
