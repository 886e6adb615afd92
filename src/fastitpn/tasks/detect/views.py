"""Views of an image for detection: tiles of a large one, other scales and its mirror image, merged into one result."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import torch
from PIL import Image
from torch import Tensor
from torchvision.ops import batched_nms, box_area

from fastitpn.data.detection.transforms import DetectEval
from fastitpn.tasks.detect.config import DetectionsConfig
from fastitpn.tasks.detect.heads.base import Detections, Size

_SAME = 0.5
"""Boxes of one class that overlap by more (IoU) are of one object."""
_COVERED = 0.5
"""A box that a tile cut off is left out where a whole one of its class covers more than this share of it."""
_AT_EDGE_PX = 1.0
MOST_EVALUATED = 300
"""Detections of an image that an evaluation keeps: nearly all of them are noise, and masks take memory."""

Part = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the image."""


class View(NamedTuple):
    """What a detector gets of an image: all of it or a tile."""

    pixels: Tensor
    """[3, h, w], normalised."""
    part: Part
    flipped: bool


class ViewedImage(NamedTuple):
    """All views of an image, and its own size."""

    views: Sequence[View]
    size: Size

    def to(self, device: torch.device) -> "ViewedImage":
        """The views on a device."""
        return self._replace(views=[view._replace(pixels=view.pixels.to(device)) for view in self.views])

    def num_pixels(self) -> int:
        """Pixels of all views."""
        return sum(view.pixels[0].numel() for view in self.views)


@dataclass(frozen=True, kw_only=True)
class DetectViews:
    """How an image is looked at more than once.

    Attributes:
        whole: The view of an image or a tile.
        tile: Side of the tiles in pixels of the image, which is also looked at as a whole; None for no tiles.
        overlap: Share of a tile that it has in common with the next one.
        scales: Sizes, as factors of that of `whole`.
        flip: Also look at mirror images.
        most: Detections of an image to keep; None for all.
    """

    whole: DetectEval
    tile: int | None = None
    overlap: float = 0.25
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    most: int | None = None

    @classmethod
    def of(cls, whole: DetectEval, config: DetectionsConfig, *, most: int | None = None) -> Self | None:
        """The views that a configuration asks for; None where each image is looked at once."""
        if config.tile is None and config.scales == (1.0,) and not config.flip:
            return None
        overlap = cls.overlap if config.overlap is None else config.overlap
        return cls(whole=whole, tile=config.tile, overlap=overlap, scales=config.scales, flip=config.flip, most=most)

    def __call__(self, image: Image.Image) -> ViewedImage:
        """All views of an RGB image."""
        views = []
        for part in self.parts(image.width, image.height):
            seen = image if part == (0, 0, *image.size) else image.crop(part)
            for scale in self.scales:
                px, max_px = (max(1, round(scale * side)) for side in (self.whole.px, self.whole.max_px))
                pixels = replace(self.whole, px=px, max_px=max_px)(seen)
                views += [View(p, part, flipped) for p, flipped in self._mirrored(pixels)]
        return ViewedImage(views, (image.height, image.width))

    def parts(self, width: int, height: int) -> list[Part]:
        """The whole image, and its tiles if it is larger than one."""
        whole = (0, 0, width, height)
        if self.tile is None or max(width, height) <= self.tile:
            return [whole]
        columns, rows = (_starts(side, self.tile, self.overlap) for side in (width, height))
        tiles = [
            (left, top, min(left + self.tile, width), min(top + self.tile, height)) for top in rows for left in columns
        ]
        return [whole, *tiles]

    def _mirrored(self, pixels: Tensor) -> Iterator[tuple[Tensor, bool]]:
        yield pixels, False
        if self.flip:
            yield pixels.flip(-1), True

    @torch.no_grad()
    def detect(
        self, detect_each: Callable[..., Iterator[Detections]], image: ViewedImage, *, min_score: float = 0.0
    ) -> Detections:
        """What is in an image, each object once.

        Args:
            detect_each: That of a detector.
            image: Its views, on the detector's device.
            min_score: Leave out what has a lower score.
        """
        sizes = [(view.part[3] - view.part[1], view.part[2] - view.part[0]) for view in image.views]
        detections = detect_each([view.pixels for view in image.views], sizes, min_score=min_score)
        by_view = list(map(_upright, detections, image.views))
        boxes = torch.cat(
            [
                seen["boxes"] + seen["boxes"].new_tensor(view.part[:2] * 2)
                for seen, view in zip(by_view, image.views, strict=True)
            ]
        )
        cut = torch.cat(
            [_is_cut(seen["boxes"], view.part, image.size) for seen, view in zip(by_view, image.views, strict=True)]
        )
        scores, labels = (torch.cat([seen[key] for seen in by_view]) for key in ("scores", "labels"))
        kept = merged(boxes, scores, labels, cut)[: self.most]
        result = {"boxes": boxes[kept], "scores": scores[kept], "labels": labels[kept]}
        if all("masks" in seen for seen in by_view):
            result["masks"] = _whole_masks(by_view, image, kept.tolist())
        return result


def merged(boxes: Tensor, scores: Tensor, labels: Tensor, cut: Tensor) -> Tensor:
    """Places of the detections to keep, the surest first: by non-maximum suppression within each class.

    Those that a tile cut off come after all others: they stay only where no whole object of their class covers them.

    Args:
        boxes: [n, 4] in pixels of the image.
        scores: [n].
        labels: [n].
        cut: bool [n], at an edge of a tile that is none of the image.
    """
    whole, parts = (~cut).nonzero()[:, 0], cut.nonzero()[:, 0]
    kept = whole[batched_nms(boxes[whole], scores[whole], labels[whole], _SAME)]
    if len(parts) and len(kept):
        first, other = boxes[parts][:, None], boxes[kept]
        sides = (torch.minimum(first[..., 2:], other[:, 2:]) - torch.maximum(first[..., :2], other[:, :2])).clamp(min=0)
        covered = sides.prod(-1) > _COVERED * box_area(boxes[parts])[:, None]
        parts = parts[~(covered & (labels[parts][:, None] == labels[kept])).any(1)]
    kept = torch.cat((kept, parts[batched_nms(boxes[parts], scores[parts], labels[parts], _SAME)]))
    return kept[scores[kept].argsort(descending=True, stable=True)]


def _starts(side: int, tile: int, overlap: float) -> list[int]:
    """Where tiles begin along a side, evenly, so that the last one ends with the image."""
    if side <= tile:
        return [0]
    count = 1 + -int(-(side - tile) // max(1, tile * (1 - overlap)))
    return [round(number * (side - tile) / (count - 1)) for number in range(count)]


def _upright(detections: Detections, view: View) -> Detections:
    """Detections of a mirror image as those of what it mirrors."""
    if not view.flipped:
        return detections
    left, top, right, bottom = detections["boxes"].unbind(-1)
    width = view.part[2] - view.part[0]
    result = {**detections, "boxes": torch.stack((width - right, top, width - left, bottom), -1)}
    return result | ({"masks": detections["masks"].flip(-1)} if "masks" in detections else {})


def _is_cut(boxes: Tensor, part: Part, size: Size) -> Tensor:
    """Whether boxes [n, 4] of a tile end at an edge of it that is none of the image."""
    left, top, right, bottom = boxes.unbind(-1)
    across, down = part[2] - part[0], part[3] - part[1]
    cut = torch.zeros_like(left, dtype=torch.bool)
    for is_inner, at_edge in (
        (part[0] > 0, left < _AT_EDGE_PX),
        (part[1] > 0, top < _AT_EDGE_PX),
        (part[2] < size[1], right > across - _AT_EDGE_PX),
        (part[3] < size[0], bottom > down - _AT_EDGE_PX),
    ):
        cut |= at_edge & is_inner
    return cut


def _whole_masks(by_view: Sequence[Detections], image: ViewedImage, kept: Sequence[int]) -> Tensor:
    """Masks bool [n, H, W] of the image, from those of its views."""
    places = [
        (mask, view.part) for seen, view in zip(by_view, image.views, strict=True) for mask in seen["masks"].unbind()
    ]
    device = image.views[0].pixels.device
    result = torch.zeros(len(kept), *image.size, dtype=torch.bool, device=device)
    for mask, place in zip(result, kept, strict=True):
        inside, (left, top, right, bottom) = places[place]
        mask[top:bottom, left:right] = inside
    return result
