"""Places and boxes as sines and cosines, and the inverse of the logistic function."""

import math

import torch
from torch import Tensor

_BOX_TEMPERATURE = 10000.0


def inverse_sigmoid(x: Tensor, eps: float) -> Tensor:
    """Logit of probabilities, which are kept at least `eps` away from 0 and 1.

    Args:
        x: Any shape; what lies outside of [0, 1] counts as its end.
        eps: As published 1e-3 in DINO and 1e-5 in MaskDINO.
    """
    x = x.clamp(0, 1)
    return (x.clamp(min=eps) / (1 - x).clamp(min=eps)).log()


def sine_positions(padding: Tensor, width: int, temperature: float) -> Tensor:
    """Codes of the cells of a map (DETR's sines, normalised by the part of the map that has an image).

    Args:
        padding: bool [B, h, w], True where a cell has nothing of its image.
        width: Numbers for each cell: the first half for y, the second for x.
        temperature: Wavelengths go up to so many times the image; as published 20 in DINO, 10000 in MaskDINO.

    Returns:
        float32 [B, h * w, width].
    """
    inside = (~padding).float()
    y, x = inside.cumsum(1), inside.cumsum(2)  # a cell's place is its number, counted from 1
    y, x = (2 * math.pi * y / (y[:, -1:] + 1e-6), 2 * math.pi * x / (x[:, :, -1:] + 1e-6))
    return _waves(torch.stack((y, x), -1).flatten(1, 2), width // 2, temperature)


def sine_of_boxes(boxes: Tensor, width: int) -> Tensor:
    """Codes of boxes.

    Args:
        boxes: [..., 4]: centre, width and height as shares of the image.
        width: Numbers for each of the four.

    Returns:
        [..., 4 * width], in the order y, x, width, height.
    """
    x, y, w, h = (2 * math.pi * boxes).unbind(-1)
    return _waves(torch.stack((y, x, w, h), -1), width, _BOX_TEMPERATURE)


def _waves(angles: Tensor, width: int, temperature: float) -> Tensor:
    """[..., n] to [..., n * width]: of each angle sine and cosine by turns, at frequencies that fall geometrically."""
    pairs = torch.arange(width, dtype=torch.float32, device=angles.device).div(2, rounding_mode="floor")
    waves = angles[..., None] / temperature ** (2 * pairs / width)
    return torch.stack((waves[..., 0::2].sin(), waves[..., 1::2].cos()), -1).flatten(-3)
