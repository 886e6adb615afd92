"""A detector to export."""

from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastitpn.data.detection.formats.registry import open_annotations
from fastitpn.data.detection.images import detection_images
from fastitpn.data.detection.reading import listed_files
from fastitpn.data.images.folders import list_images
from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.exportable import Exportable
from fastitpn.exporting.network import Network
from fastitpn.exporting.parity import TOLERANCES
from fastitpn.exporting.pictures import Outputs, Pictures
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.detect.config import MIN_SCORE
from fastitpn.tasks.detect.description import DetectorDescription
from fastitpn.tasks.detect.export_parity import agreement_of_detections, compare_detections
from fastitpn.tasks.detect.heads.base import Detector, paste_masks
from fastitpn.tasks.detect.heads.registry import DETECTORS
from fastitpn.tasks.detect.metrics import MAIN
from fastitpn.tasks.detect.scores import CocoScores


class DetectNetwork(Network):
    """The best detections of each image, the best one first.

    Boxes [B, n, 4] (left, top, right, bottom, as shares of the image), scores [B, n], classes int64 [B, n], and masks
    [B, n, m, m], probabilities inside of the boxes.

    Args:
        model: The detector to export.
        one_by_one: Whether n depends on what is in an image.
    """

    def __init__(self, model: Detector, *, one_by_one: bool):
        super().__init__()
        self.model = model
        self.one_by_one = one_by_one
        self.outputs = ("boxes", "scores", "classes", "masks")[: 4 if model.has_masks else 3]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See the class."""
        detections: tuple[Tensor, ...] = self.model.detect_whole(images)
        return detections

    def compare(self, given: list[Tensor], expected: list[Tensor]) -> tuple[float, int, int]:
        """Detections matched one to one; each is a decision."""
        return compare_detections(given, expected, TOLERANCES["fp32"].difference)

    def agreement(self, given: list[Tensor], expected: list[Tensor]) -> tuple[float, float]:
        """Detections that are sure enough to be shown, of either, and how many of them the other one has too."""
        return agreement_of_detections(given, expected, MIN_SCORE)


class DetectExport(Exportable):
    """A detector to export, with what compares its detections."""

    noun = "detector"
    hub_task = "object-detection"
    example = Path(str(resources.files("fastitpn.exporting") / "examples" / "detect.py"))
    any_size = True

    def __init__(self, trained: Trained[Detector, DetectorDescription]):
        about, name = trained.about, trained.about.detector["name"]
        self._head = DETECTORS[name]
        network = DetectNetwork(trained.model, one_by_one=self._head.exports == "one")
        super().__init__(
            network.eval(),
            mean=about.mean,
            std=about.std,
            classes=about.class_names,
            head=name,
            half=False,
            open_size=self._head.open_size,
        )
        self.metrics = MAIN if trained.model.has_masks else MAIN[:1]
        self._classes, self._path = about.classes, trained.path

    def check(self, config: ExportConfig) -> None:
        """Some detectors cannot be exported whole."""
        if self._head.exports == "none":
            able = [name for name in DETECTORS if DETECTORS[name].exports != "none"]
            raise InputError(
                f"a {self.head} cannot be exported whole yet",
                where=self._path,
                expected=f"only its backbone, or one of the detectors {', '.join(able)}",
                fix="part=pyramid, or format=hub",
            )
        super().check(config)

    def labelled(self, data: Path) -> Pictures:
        """Images with annotations of the classes."""
        images = detection_images(data, classes=self._classes, with_masks=None if len(self.metrics) > 1 else False)
        return Pictures(images=images.paths, truth=[(images, place) for place in range(len(images))])

    def unlabelled(self, data: Path) -> Pictures | None:
        """The images that annotations are about."""
        parts = open_annotations(data)
        part = parts.find("val") or parts.find("")
        if part is None:
            return None
        return Pictures(images=listed_files(part) if part.images is None else list_images(part.images))

    def score(self, outputs: Sequence[Outputs], truth: Sequence[Any]) -> dict[str, float]:
        """Average precision of boxes and masks."""
        scores = CocoScores(self._classes)
        seen: set[int] = set()
        for (boxes, confidences, labels, *masks), (images, place) in zip(outputs, truth, strict=True):
            if place in seen:
                continue  # it came again to fill a batch
            seen.add(place)
            height, width = images.sizes[place]
            annotations = images.annotations(place)
            known = {
                "image_id": images.image_ids(place),
                "size": (height, width),
                "boxes": annotations.boxes,
                "labels": annotations.labels,
                "crowd": annotations.crowd,
                "area": annotations.area,
            }
            if annotations.masks is not None:
                known["masks"] = annotations.masks
            detections = {"boxes": boxes * torch.tensor([width, height]).repeat(2), "scores": confidences}
            detections["labels"] = labels
            if masks:
                detections["masks"] = paste_masks(masks[0], detections["boxes"], (height, width))
            scores.add({key: [value] for key, value in known.items()}, [detections])
        measured = scores.figures()
        return {metric.name: measured[metric.name] for metric in self.metrics if metric.name in measured}

    def describe(self) -> dict[str, Any]:
        """How boxes and masks are given, and the ids of the classes in annotations."""
        about: dict[str, Any] = {
            "boxes": "left, top, right, bottom, as shares of the picture's width and height; best first"
        }
        if "masks" in self.network.outputs:
            about["masks"] = "probabilities, inside of the boxes"
        return {**about, "category_ids": list(self._classes.ids)}

    def notes(self, config: ExportConfig, size: tuple[int, int]) -> Sequence[str]:
        """That pictures of any shape are brought into one."""
        if config.dynamic == "all":
            return ()
        return [
            f"pictures of any shape are brought to {size[0]} x {size[1]} px: px= and width= choose it, and for dino "
            "dynamic=all leaves it open"
        ]
