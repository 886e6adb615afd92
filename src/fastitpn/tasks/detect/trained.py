"""A trained detector: found, read and built from its checkpoint alone."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.runs.acceleration import AccelerationLike, choose_acceleration, trained_acceleration
from fastitpn.runs.trained_model import TrainedCheckpoint, open_checkpoint
from fastitpn.tasks.detect.heads.base import Detector
from fastitpn.tasks.detect.model import create_detector

_NEEDED = ("model", "detector", "classes", "category_ids", "normalisation", "px", "max_px", "weights")


@dataclass(frozen=True, kw_only=True)
class TrainedDetector:
    """What `fastitpn finetune detect` left behind, ready to use.

    Attributes:
        path: The checkpoint.
        model: In evaluation mode, on the CPU, with the acceleration asked for.
        classes: Names, and their ids in the annotations of its training.
        px: Shorter side at which it looks at images.
        max_px: Longest side at most.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
    """

    path: Path
    model: Detector
    classes: DetectionClasses
    px: int
    max_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def at(self, px: int | None, max_px: int | None) -> "TrainedDetector":
        """The same that looks at images in another size.

        Args:
            px: Shorter side; None for its own.
            max_px: Longest side at most; None keeps the proportion.
        """
        own = px or self.px
        return replace(self, px=own, max_px=max(max_px or round(own * self.max_px / self.px), 32))


def load_detector(
    source: str | os.PathLike[str] | TrainedCheckpoint, acceleration: AccelerationLike | None = None
) -> TrainedDetector:
    """Find, read and build a detector.

    Args:
        source: A checkpoint, or a run directory (its best checkpoint); or what `open_checkpoint` made of it.
        acceleration: To run it with; None for the one it was trained with. A line is printed if it is another.

    Raises:
        InputError: There is none, it cannot be read, wants to run code, or is of another task; or the acceleration
            does not exist, or does not fit the model.
    """
    checkpoint = source if isinstance(source, TrainedCheckpoint) else open_checkpoint(source)
    path, content = checkpoint.path, checkpoint.content
    checkpoint.check_task("detect", "detector")
    checkpoint.check_complete(_NEEDED)
    model = checkpoint.build(
        lambda: create_detector(content["model"], content["detector"], len(content["classes"]), weight_init="skip"),
        "the weights of the model and the detector that are stored beside them",
    )
    model.backbone.set_acceleration(choose_acceleration(acceleration, trained_acceleration(content, path)))
    return TrainedDetector(
        path=path,
        model=model,
        classes=DetectionClasses(names=tuple(content["classes"]), ids=tuple(content["category_ids"])),
        px=content["px"],
        max_px=content["max_px"],
        mean=tuple(content["normalisation"]["mean"]),
        std=tuple(content["normalisation"]["std"]),
    )
