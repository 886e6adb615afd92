"""Golden data of the published DINO and MaskDINO heads: tensors of every stage, and the weights that made them."""

import json
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

FOLDER = Path(__file__).parent / "golden" / "heads"
CANVAS, SIZES = (128, 160), [(128, 144), (100, 160)]
"""Height and width of the padded images, and of the two images inside."""
TOLERANCE = json.loads((FOLDER / "TOLERANCE.json").read_text())["suggested"]


@cache
def golden(name: str) -> dict[str, Tensor]:
    """Tensors of a file, by name."""
    return load_file(FOLDER / f"{name}.safetensors")


def rule_value(name: str, shape: Sequence[int]) -> Tensor:
    """The value of a parameter, which depends on its published name and its shape alone."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    value = torch.randn(tuple(shape), generator=generator)
    leaf = name.rsplit(".", 1)[-1]
    if value.ndim >= 2:
        return value * (value.numel() / value.shape[0]) ** -0.5
    return (1.0 if leaf == "weight" else 0.0) + 0.1 * value


def fill(network: nn.Module, published_name: Callable[[str], str]) -> None:
    """Give all parameters their value."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(rule_value(published_name(name), parameter.shape))


def features(shapes: Sequence[tuple[int, int, int]]) -> list[Tensor]:
    """Random maps [2, C, h, w] of these shapes, drawn one after the other."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, *shape, generator=generator) for shape in shapes]


def close(given: Any, expected: Any, **tolerance: float) -> None:
    """Fails unless tensors are the same within the tolerance of the golden data."""
    allowed = {"atol": TOLERANCE["atol"], "rtol": TOLERANCE["rtol"], **tolerance}
    torch.testing.assert_close(torch.as_tensor(given), expected, check_dtype=False, **allowed)
