"""What happens to an image and its mask together. Masks are only ever resized by taking the nearest pixel."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from fastitpn.data.images.photometric import distort_colors
from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.masks import Labels
from fastitpn.data.segmentation.panoptic_codes import LABEL_BITS, Codes

_LONGEST = 4
"""An image's longer side is at most this many times `px` after its shorter one was brought to `px`, as published."""
_CROPS = 10


def scale_to(height: int, width: int, px: int, resize: bool) -> float:
    """The factor that brings an image to the size in which it is looked at, before any random scaling.

    Args:
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        px: Side of a crop.
        resize: Bring its shorter side to `px` (its longer one to 4 `px` at most); else the factor is 1.
    """
    if not resize:
        return 1.0
    return min(px / min(height, width), _LONGEST * px / max(height, width))


@dataclass(frozen=True, kw_only=True)
class SegmentationTrain:
    """The published training view: random scale, crop, flip and photometric distortion, then padding.

    The same numbers as scaling first and cropping then, but only the crop is scaled. All that is random comes from
    torch's global generator.

    Attributes:
        px: Height and width of the result.
        mean: Per channel, of values in 0..1.
        std: Per channel, divided by.
        resize: Bring the shorter side to `px` before the random scale.
        scale_range: Smallest and largest random scale.
        max_class_ratio: A crop is drawn again, up to ten times, if one class covers more of it than this.
        hflip: Probability of a left-right flip.
        photometric: Distort brightness, contrast, saturation and hue, each in half of the images.
    """

    px: int
    mean: Sequence[float]
    std: Sequence[float]
    resize: bool = True
    scale_range: tuple[float, float] = (0.5, 2.0)
    max_class_ratio: float = 0.75
    hflip: float = 0.5
    photometric: bool = True

    def __call__(self, image: Image.Image, mask: Labels | Codes) -> tuple[Tensor, Tensor]:
        """An RGB image and its labels or codes [height, width] to float32 [3, px, px] and [px, px] of their type."""
        pixels = tv_tensors.Image(F.pil_to_tensor(image))
        labels = tv_tensors.Mask(torch.from_numpy(mask))
        height, width = mask.shape
        scale = scale_to(height, width, self.px, self.resize) * _uniform(*self.scale_range)
        top, left, crop_height, crop_width = self._crop(labels, scale)
        size = [self._scaled(side, crop, scale) for side, crop in ((height, crop_height), (width, crop_width))]
        pixels, labels = (F.crop(x, top, left, crop_height, crop_width) for x in (pixels, labels))
        pixels = F.resize(pixels, size, antialias=True)
        labels = F.resize(labels, size, interpolation=v2.InterpolationMode.NEAREST)
        if torch.rand(()) < self.hflip:
            pixels, labels = F.horizontal_flip(pixels), F.horizontal_flip(labels)
        if self.photometric:
            pixels = distort_colors(pixels)
        pixels = _normalised(pixels, self.mean, self.std)
        padding = [0, 0, self.px - size[1], self.px - size[0]]  # left, top, right, bottom
        padded = F.pad(pixels, padding, fill=0), F.pad(labels, padding, fill=IGNORE)
        return padded[0].as_subclass(Tensor).contiguous(), padded[1].as_subclass(Tensor).contiguous()

    def _crop(self, labels: Tensor, scale: float) -> tuple[int, int, int, int]:
        """Top, left, height and width of the part of the image that will fill the result."""
        height, width = labels.shape
        crop_height = min(height, max(1, round(self.px / scale)))
        crop_width = min(width, max(1, round(self.px / scale)))
        top = left = 0
        for _ in range(_CROPS):
            top = int(torch.randint(height - crop_height + 1, ()))
            left = int(torch.randint(width - crop_width + 1, ()))
            counts = torch.bincount(
                labels[top : top + crop_height, left : left + crop_width].reshape(-1).as_subclass(Tensor) & LABEL_BITS,
                minlength=IGNORE + 1,
            )[:IGNORE]
            if counts.max() <= self.max_class_ratio * counts.sum() and counts.sum() > 0:
                break
        return top, left, crop_height, crop_width

    def _scaled(self, side: int, crop: int, scale: float) -> int:
        """The side of a crop after scaling: `px`, or less where the whole image is smaller."""
        return self.px if crop < side else min(self.px, max(1, round(side * scale)))


@dataclass(frozen=True, kw_only=True)
class SegmentationEval:
    """The whole image, normalised, in its own size; what the model gets of it is decided where it is computed.

    Attributes:
        mean: Per channel, of values in 0..1.
        std: Per channel, divided by.
    """

    mean: Sequence[float]
    std: Sequence[float]

    def __call__(self, image: Image.Image) -> Tensor:
        """An RGB image to float32 [3, height, width]."""
        return _normalised(F.pil_to_tensor(image), self.mean, self.std)


def _normalised(pixels: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    return F.normalize(F.to_dtype(pixels, torch.float32, scale=True), list(mean), list(std))


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(()))
