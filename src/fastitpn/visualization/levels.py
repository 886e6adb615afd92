"""The feature maps of a model by name: levels of its pyramid, or stages of its trunk where it has none."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.layers.cells import PATCH
from fastitpn.models.pyramid import STRIDES

TRUNK = "trunk"


def level_titles(model: FastITPN) -> dict[str, str]:
    """The maps that a model has, by their name in `levels=`, with a title each."""
    if model.pyramid is None:
        return {"4": "stage 1, stride 4", "8": "stage 2, stride 8", TRUNK: "trunk, stride 16"}
    return {**{str(STRIDES[i]): f"pyramid, stride {STRIDES[i]}" for i in _places(model)}, TRUNK: "trunk, stride 16"}


def choose_levels(model: FastITPN, asked: Sequence[str] | None) -> dict[str, str]:
    """The maps that were asked for, by name, with their titles.

    Raises:
        InputError: The model has no such map.
    """
    titles = level_titles(model)
    absent = [name for name in asked or () if name not in titles]
    if absent:
        raise InputError(
            f"this model has no map {', '.join(absent)}" + ("" if model.pyramid else ": it has no pyramid"),
            where="levels",
            expected=", ".join(titles),
            fix=f"levels={','.join(name for name in asked or () if name in titles) or TRUNK}, or a checkpoint of a "
            "pre-training, whose pyramid is complete",
        )
    return {name: titles[name] for name in asked or titles}


@torch.no_grad()
def level_maps(model: FastITPN, pixels: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Feature maps of one image.

    Args:
        model: In evaluation mode.
        pixels: [1, 3, H, W].
        names: Keys of what `choose_levels` gave.

    Returns:
        Float32 maps [h, w, C] on the CPU.
    """
    places = _places(model)
    final, maps = model.forward_intermediates(pixels, indices=places, output_fmt="NHWC")
    if model.output_fmt == "NLC":  # tokens, the class token first
        final = final[:, 1:].unflatten(1, (pixels.shape[-2] // PATCH, pixels.shape[-1] // PATCH))
    named = {**{str(STRIDES[place]): map_ for place, map_ in zip(places, maps, strict=True)}, TRUNK: final}
    return {name: named[name][0].float().cpu() for name in names}


def _places(model: FastITPN) -> list[int]:
    """Places in `STRIDES` of the maps that a model has; a detector may have pruned its pyramid."""
    if model.pyramid is None:
        return [0, 1, 2]
    return [place for place in range(len(STRIDES)) if min(place, 2) in model.pyramid.levels]


def cell_of(token: tuple[int, int], grid: tuple[int, int], shape: tuple[int, int]) -> tuple[int, int]:
    """Row and column in a map of the cell that has the middle of a token in it.

    Args:
        token: Row and column among the tokens.
        grid: Tokens per column and per row.
        shape: Cells per column and per row.
    """
    if shape[0] >= grid[0]:
        scale = shape[0] // grid[0]
        return token[0] * scale + scale // 2, token[1] * scale + scale // 2
    scale = -(-grid[0] // shape[0])
    return token[0] // scale, token[1] // scale


def choose_token(asked: tuple[int, int] | None, grid: tuple[int, int]) -> tuple[int, int]:
    """Row and column of the token to look from, by default in the middle.

    Raises:
        InputError: It is outside of the map.
    """
    if asked is None:
        return grid[0] // 2, grid[1] // 2
    if asked[0] >= grid[0] or asked[1] >= grid[1]:
        raise InputError(
            f"there is no token {asked[0]},{asked[1]} in a map of {grid[0]} x {grid[1]}",
            where="token",
            expected=f"row,column from 0,0 to {grid[0] - 1},{grid[1] - 1}",
            fix=f"token={min(asked[0], grid[0] - 1)},{min(asked[1], grid[1] - 1)}, or a larger px",
        )
    return asked
