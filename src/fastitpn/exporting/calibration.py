"""The images that the scales of int8 are taken from: like those that the file will see."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from fastitpn.data.images.folders import unlabelled
from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.parity import batches
from fastitpn.exporting.pictures import Pictures
from fastitpn.exporting.shapes import Shapes
from fastitpn.models.weights.cache import sha256

if TYPE_CHECKING:
    from fastitpn.exporting.subject import Subject

_FEWEST = 8


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Images to calibrate on.

    Attributes:
        pictures: The images, at least as many as a batch has.
        count: How many different ones these are.
    """

    pictures: Pictures
    count: int

    def batches(self, shapes: Shapes) -> list[Tensor]:
        """Inputs [B, 3, height, width] of the native size."""
        images = self.pictures.tensors(shapes.size)
        return [images[places] for places in batches(len(images), shapes.batches[0])]

    def to_json(self) -> dict[str, Any]:
        """Plain types: how many they were, of what, and a digest of their files."""
        digest = hashlib.sha256()
        for image in self.pictures.images[: self.count]:
            digest.update(bytes.fromhex(sha256(Path(str(image)))))
        return {"images": self.count, "of": self.pictures.source, "sha256": digest.hexdigest()}


def find_calibration(config: ExportConfig, subject: "Subject", *, needed: bool) -> Calibration | None:
    """The images of `calibrate`, else some that the model was trained on, decoded; None if these are not here.

    Args:
        config: Configuration of the export.
        subject: The model.
        needed: Whether there have to be some.

    Raises:
        InputError: `calibrate` has no images, too few, or one that cannot be read; or there are none though `needed`.
    """
    calibration = _find(config, subject)
    if calibration is None and needed:
        raise InputError(
            "int8 needs images to calibrate on, and those of the training are not here",
            where="calibrate",
            expected="a folder of images like those that the model will see",
            fix="calibrate=FOLDER, or precision=fp16, which needs no images",
        )
    if calibration is not None:
        calibration.pictures.tensors(subject.px)
    return calibration


def _find(config: ExportConfig, subject: "Subject") -> Calibration | None:
    if config.calibrate is not None:
        return _of(config.calibrate, config, subject)
    given = subject.training.get("config", {}).get("data")
    if given is not None and Path(given).exists():
        with suppress(InputError):
            return _of(Path(given), config, subject, fewest=1)
    return None


def _of(data: Path, config: ExportConfig, subject: "Subject", fewest: int = _FEWEST) -> Calibration:
    images = unlabelled(data)
    fewest = min(fewest, config.calibrate_images)
    if len(images) < fewest:
        raise InputError(
            f"{len(images)} images are too few to calibrate on",
            where=data,
            expected=f"at least {fewest}, better {config.calibrate_images}, like those that the model will see",
            fix="calibrate=ANOTHER_FOLDER, or leave it out to use images of the training",
        )
    count = min(len(images), config.calibrate_images)
    chosen = Pictures(images=images).spread(count, fewest=config.batch)
    source = f"{count} images of {data.resolve().name}"
    return Calibration(pictures=replace(chosen, view=subject.view, source=source), count=count)
