"""What becomes of the frames of a video, for each task: a prediction, a picture of it, and a line of JSON."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from faster_coco_eval.core import mask as coco_masks
from PIL import Image

from fastitpn.inference.drawing import Share, fitted, with_panel
from fastitpn.inference.results import Classification, JsonResult
from fastitpn.tasks.classify.predictor import Predictor
from fastitpn.tasks.detect.predictor import DetectPredictor
from fastitpn.tasks.detect.results import ImageDetections
from fastitpn.tasks.segment.panoptic_results import PanopticSegmentation
from fastitpn.tasks.segment.predictor import SegmentPredictor
from fastitpn.tasks.segment.results import Segmentation

LEAST_PX, MOST_PX = 480, 2048
"""Longest side of a video that is written: smaller ones are enlarged, so that names can be read."""
_FRAMES_AT_ONCE = 8
_MOST_NAMED = 5
_OF_AN_IMAGE = ("index", "path", "mask")
"""Keys of a result that say nothing about a frame."""

Result = TypeVar("Result", bound=JsonResult)


@dataclass(frozen=True, kw_only=True)
class FrameTask(Generic[Result]):
    """What is done with frames.

    Attributes:
        predict: From a few frames to a result each.
        draw: The frame of a result with what was found.
        describe: A result in plain types.
        batch: Frames at once.
    """

    predict: Callable[[Sequence[Image.Image]], Iterable[Result]]
    draw: Callable[[Result], Image.Image]
    describe: Callable[[Result], dict[str, Any]]
    batch: int = 1


def classify_frames(predictor: Predictor, *, top_k: int, batch: int) -> FrameTask[Classification]:
    """The likeliest classes in a corner of each frame."""

    def draw(one: Classification) -> Image.Image:
        classes = zip(one.labels[:_MOST_NAMED], one.scores, strict=False)
        return with_panel(_sized(one.source.read()), [Share(label, score) for label, score in classes])

    batch = min(batch, _FRAMES_AT_ONCE)
    return FrameTask(
        predict=lambda frames: predictor(frames, top_k, batch=batch), draw=draw, describe=_describe, batch=batch
    )


def segment_frames(predictor: SegmentPredictor) -> FrameTask[Segmentation]:
    """The colours of classes or segments over each frame, and the largest classes in a corner."""

    def draw(one: Segmentation) -> Image.Image:
        shares = [Share(c.name, c.share, one.classes.colors[c.label]) for c in one.found[:_MOST_NAMED]]
        return with_panel(_sized(one.draw(MOST_PX, legend=False)), shares)

    def describe(one: Segmentation) -> dict[str, Any]:
        row = _describe(one)
        if isinstance(one, PanopticSegmentation):
            for entry, segment in zip(row["segments_info"], one.segments, strict=True):
                entry["mask"] = _run_lengths(one.codes == segment.code)
            return row
        for entry, found in zip(row["classes"], one.found, strict=True):
            entry["mask"] = _run_lengths(one.labels == found.label)
        return row

    return FrameTask(predict=predictor.stream, draw=draw, describe=describe)  # type: ignore[arg-type]


def detect_frames(predictor: DetectPredictor, min_score: float) -> FrameTask[ImageDetections]:
    """Boxes and masks in each frame."""

    def predict(frames: Sequence[Image.Image]) -> Iterable[ImageDetections]:
        return predictor(frames, min_score)

    return FrameTask(predict=predict, draw=lambda one: one.draw(_longest_px(one.size)), describe=_describe)


def _describe(one: JsonResult) -> dict[str, Any]:
    return {key: value for key, value in one.to_json().items() if key not in _OF_AN_IMAGE}


def _longest_px(size: tuple[int, int]) -> int:
    return min(MOST_PX, max(LEAST_PX, *size))


def _sized(picture: Image.Image) -> Image.Image:
    px = _longest_px(picture.size)
    return picture if px == max(picture.size) else fitted(picture, px)


def _run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """A mask [H, W] of bool as COCO's tools pack it, in plain types."""
    packed = coco_masks.encode(np.asfortranarray(mask, np.uint8))
    return {"size": [int(side) for side in packed["size"]], "counts": packed["counts"].decode("ascii")}
