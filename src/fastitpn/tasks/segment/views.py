"""Inference on images of any size: whole or by windows, at several scales, mirrored, and back at the original size."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from fastitpn.data.chunks import equal_sizes
from fastitpn.data.segmentation.transforms import scale_to
from fastitpn.errors import InputError
from fastitpn.inference.auto_batch import AutoBatch
from fastitpn.tasks.segment.description import SegmenterDescription

Sizes = tuple[tuple[int, int], ...]
"""Height and width at each scale."""

_CELL = 4
"""Stride of what a head gives."""
_WINDOWS_FROM = 4
"""`auto` looks at images of more than this many windows through windows."""
MOST_SCORES = 2**25
"""Scores that are held at the original size at a time."""


def auto_batch() -> AutoBatch:
    """What halves `TestTimeViews.batch` where memory runs out."""
    return AutoBatch("windows", "inference=slide, a smaller px, acceleration=fast, or device=cpu")


class Scorer(Protocol):
    """What is asked for its opinion, such as a `Segmenter`."""

    def log_probabilities(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] to [B, classes, H / 4, W / 4]."""


@dataclass(frozen=True, kw_only=True)
class TestTimeViews:
    """How an image is looked at.

    Attributes:
        px: Side of a window, a multiple of 16, and what the shorter side is brought to (`resize`).
        resize: Bring the shorter side to `px`; else look at the image in its own size.
        inference: At the whole image, through windows that slide over it, or `auto`: windows where it is larger than
            four of them.
        stride: From one window to the next, in px; None for two thirds of a window, as published.
        scales: Look at it in each of these sizes, and average.
        flip: Also at its mirror image.
        batch: Windows in one batch; or as many pixels of whole images of one size.

    Raises:
        InputError: The stride is longer than a window.
    """

    __test__ = False  # pytest takes it for tests, by its name

    px: int
    resize: bool = True
    inference: Literal["auto", "whole", "slide"] = "auto"
    stride: int | None = None
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    batch: int = 8

    @classmethod
    def of(cls, about: SegmenterDescription) -> Self:
        """The way in which a network's training looked at images."""
        return cls(px=about.px, resize=about.resize)

    def __post_init__(self) -> None:
        if self.stride is not None and self.stride > self.px:
            raise InputError(
                f"a stride of {self.stride} px leaves gaps between windows of {self.px} px",
                where="stride",
                expected=f"1 to {self.px}",
                fix=f"stride={2 * self.px // 3}, or leave stride out",
            )

    def sizes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Height and width at each scale: multiples of 16."""
        base = scale_to(height, width, self.px, self.resize)
        return [(_multiple(height * base * scale), _multiple(width * base * scale)) for scale in self.scales]

    def groups(self, images: Sequence[Tensor]) -> Iterator[tuple[list[int], Sizes]]:
        """Places of images that are looked at together, with the sizes at each scale: as many pixels as a batch has."""
        sizes = [tuple(self.sizes(*image.shape[-2:])) for image in images]
        pixels = self.batch * self.px**2
        for places in equal_sizes(sizes, lambda scales: pixels // max(height * width for height, width in scales)):
            yield places, sizes[places[0]]

    def parts(self, images: Sequence[Tensor]) -> int:
        """The `batch` with which to begin where memory may run out: 1 where no smaller one is of use."""
        whole = len(images) == 1 and not any(self.slides(*size) for size in self.sizes(*images[0].shape[-2:]))
        return 1 if whole else self.batch

    def slides(self, height: int, width: int) -> bool:
        """Whether an image of this size is looked at through windows."""
        if self.inference == "auto":
            return height * width > _WINDOWS_FROM * self.px**2
        return self.inference == "slide"


@torch.no_grad()
def log_probabilities(model: Scorer, images: Sequence[Tensor], views: TestTimeViews) -> Iterator[tuple[int, Tensor]]:
    """What a model says about images; those that it looks at in one size are looked at together.

    Args:
        model: In evaluation mode.
        images: [3, H, W] each, normalised, in their own sizes, on the model's device.
        views: Size, windows and scales in which to look at them.

    Yields:
        Place of an image, in any order, and float32 [classes, h, w] at a quarter of the size of the first scale;
        `label_map` brings it to the original size.
    """
    for places, sizes in views.groups(images):
        total: Tensor | None = None
        for size in sizes:
            resized = resize_all([images[place] for place in places], size)
            for mirrored in (False, True)[: 1 + views.flip]:
                scores = _look(model, resized.flip(-1) if mirrored else resized, views)
                scores = scores.flip(-1) if mirrored else scores
                if total is None:
                    total = scores
                    continue
                scores = F.interpolate(scores, size=total.shape[-2:], mode="bilinear")
                total = torch.logaddexp(total, scores)  # the mean of the probabilities, but for a constant
        assert total is not None
        yield from zip(places, total - math.log(len(sizes) * (1 + views.flip)), strict=True)


def resize_all(images: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Images [3, H, W], each in its own size, as [B, 3, *size]."""
    return torch.cat([transforms.resize(image[None], list(size), antialias=True) for image in images])


def label_map(scores: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """The likeliest class of each pixel.

    Args:
        scores: [classes, h, w], logarithms of probabilities.
        height: Height of the original image in pixels.
        width: Width of the original image in pixels.

    Returns:
        uint8 [height, width], and how sure it is: float32 [height, width], the probability of that class.
    """
    labels = torch.empty(height, width, dtype=torch.uint8, device=scores.device)
    sure = torch.empty(height, width, dtype=torch.float32, device=scores.device)
    rows = max(1, MOST_SCORES // (scores.shape[0] * width))
    for first in range(0, height, rows):
        last = min(height, first + rows)
        best, place = resized_rows(scores, first, last, height, width).max(0)
        labels[first:last], sure[first:last] = place.to(torch.uint8), best.exp()
    return labels, sure


def resized_rows(scores: Tensor, first: int, last: int, height: int, width: int) -> Tensor:
    """Some rows of `interpolate(scores, (height, width), mode="bilinear")`: [classes, last - first, width]."""
    h = scores.shape[-2]
    at = ((torch.arange(first, last, device=scores.device) + 0.5) * (h / height) - 0.5).clamp(min=0)
    above = at.floor().long().clamp(max=h - 1)
    below = (above + 1).clamp(max=h - 1)
    share = (at - above)[:, None]
    mixed = scores[:, above] * (1 - share) + scores[:, below] * share
    return F.interpolate(mixed[None], size=(last - first, width), mode="bilinear")[0]


def _look(model: Scorer, images: Tensor, views: TestTimeViews) -> Tensor:
    """[B, 3, H, W] to [B, classes, H / 4, W / 4]."""
    height, width = images.shape[-2:]
    if not views.slides(height, width):
        return model.log_probabilities(images)
    window = (min(views.px, height), min(views.px, width))
    stride = views.stride or 2 * views.px // 3
    starts = (_starts(a, b, stride) for a, b in zip((height, width), window, strict=True))
    places = list(itertools.product(range(len(images)), *starts))
    blend = _blend(window[0] // _CELL, images)[:, None] * _blend(window[1] // _CELL, images)
    total: Tensor | None = None
    weights = images.new_zeros(len(images), 1, height // _CELL, width // _CELL, dtype=torch.float32)
    for batch in _batches(places, views.batch):
        crops = [images[image, :, top : top + window[0], left : left + window[1]] for image, top, left in batch]
        scores = model.log_probabilities(torch.stack(crops))
        if total is None:
            total = scores.new_zeros(len(images), scores.shape[1], *weights.shape[-2:])
        for (image, top, left), part in zip(batch, scores, strict=True):
            rows = slice(top // _CELL, (top + window[0]) // _CELL)
            columns = slice(left // _CELL, (left + window[1]) // _CELL)
            total[image, :, rows, columns] += part * blend
            weights[image, 0, rows, columns] += blend
    assert total is not None
    return (total / weights).log_softmax(1)


def _starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin, multiples of 4, so that the last one ends with the image."""
    stride = max(_CELL, stride // _CELL * _CELL)
    count = 1 + math.ceil((length - window) / stride)
    return [min(number * stride, length - window) for number in range(count)]


def _blend(cells: int, like: Tensor) -> Tensor:
    """Weights of a window's cells along one side: a window counts less towards its edges, so no seam shows."""
    place = torch.arange(cells, device=like.device, dtype=torch.float32)
    return torch.minimum(place + 1, cells - place) / cells


def _batches(places: list[tuple[int, ...]], size: int) -> Iterator[list[tuple[int, ...]]]:
    for first in range(0, len(places), size):
        yield places[first : first + size]


def _multiple(side: float) -> int:
    return max(2, round(side / 16)) * 16
