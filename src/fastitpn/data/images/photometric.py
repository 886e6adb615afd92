"""Random colours for images with masks or boxes, which stay where they are."""

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

_CHANCE = 0.5


def distort_colors(pixels: Tensor) -> Tensor:
    """Brightness, contrast, saturation and hue, each with probability 1/2; contrast before or after the last two.

    The ranges are those of torchvision's `RandomPhotometricDistort`, which also swaps the channels: the published
    segmentation does not, and things do not look like that. All that is random comes from torch's global generator.

    Args:
        pixels: uint8 [3, h, w].
    """
    contrast_first = bool(torch.rand(()) < _CHANCE)
    jitters = [
        (F.adjust_brightness, 0.875, 1.125),
        (F.adjust_contrast, 0.5, 1.5),
        (F.adjust_saturation, 0.5, 1.5),
        (F.adjust_hue, -0.05, 0.05),
    ]
    if not contrast_first:
        jitters.append(jitters.pop(1))
    for adjust, low, high in jitters:
        if torch.rand(()) < _CHANCE:
            pixels = adjust(pixels, low + (high - low) * float(torch.rand(())))
    return pixels
