"""Tensors of a file that are changed to fit a model: position tables, first kernel, class token."""

import torch
from timm.models import adapt_input_conv
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.layers.position import resize_position_table
from fastitpn.models.layers.relative_position import resize_offset_vectors, resize_relative_table
from fastitpn.models.weights.file import WeightsFile
from fastitpn.models.weights.itpn_names import relative_side

FIRST_KERNELS = ("halfcopy", "copy", "random")
CLASS_TOKENS = (None, "fresh", "mean")


def check_choices(first_kernel: str, class_token: str | None) -> None:
    """Raise unless these are known.

    Raises:
        InputError: Names the argument and what it may be.
    """
    if first_kernel not in FIRST_KERNELS:
        raise InputError(f"first_kernel={first_kernel!r}", expected=f"one of {', '.join(FIRST_KERNELS)}")
    if class_token not in CLASS_TOKENS:
        raise InputError(f"class_token={class_token!r}", expected="None, fresh or mean")


def mean_position(file: WeightsFile) -> Tensor:
    """[1, 1, D], what CSTrack puts in front of a position table."""
    return file.tensors["pos_embed"].float().mean(1, keepdim=True)


def adapt(
    name: str,
    tensor: Tensor,
    shape: torch.Size,
    trunk: FastITPN,
    file: WeightsFile,
    first_kernel: str,
    class_token: str | None,
) -> tuple[Tensor, str] | None:
    """A tensor of the wrong shape, made to fit, and how; None where that is not possible.

    Args:
        name: Our name of it.
        tensor: From the file.
        shape: In the model.
        trunk: The model.
        file: The file.
        first_kernel: See `load_weights`.
        class_token: See `load_weights`.
    """
    if ".rel_pos_bias." in name:
        return _adapt_relative(name, tensor, shape, trunk, relative_side(file.tensors))
    if name == "pos_embed" and file.position_side is not None and tensor.shape[2] == shape[2]:
        return _adapt_positions(tensor, shape[1], trunk, file, class_token)
    if name != "patch_embed.proj.weight" or tensor.shape[0] != shape[0]:
        return None
    if tensor.shape[1] == 3:
        return _widen(tensor, trunk.patch_embed.proj.weight.detach(), first_kernel)
    if (tensor.shape[1], shape[1]) == (6, 3) and file.client is not None:
        return tensor[:, :3] + tensor[:, 3:], "6 -> 3 channels (a tracker's two images are the same one)"
    return None


def _adapt_positions(
    table: Tensor, rows: int, trunk: FastITPN, file: WeightsFile, class_token: str | None
) -> tuple[Tensor, str] | None:
    side = file.position_side
    assert side is not None
    height, width = trunk.position_grid
    prefix, wanted = table.shape[1] - side * side, rows - height * width
    how = ""
    if prefix and not wanted and file.client is not None:  # a tracker's class token stands outside the model
        table, how = table[:, prefix:], "without the class token"
    elif wanted and not prefix and class_token is not None:
        row = mean_position(file) if class_token == "mean" else torch.zeros_like(table[:, :1])
        table, how = torch.cat([row.to(table.dtype), table], 1), "with a class token"
    elif prefix != wanted:
        return None
    if side == height == width:
        return table, how
    table = resize_position_table(table, side, side, height, width, trunk.position_resize)
    return table, f"{side}x{side} -> {height}x{width} (bicubic)"


def _adapt_relative(
    name: str, tensor: Tensor, shape: torch.Size, trunk: FastITPN, side: int | None
) -> tuple[Tensor, str] | None:
    """Resize the tables of relative positions of patches."""
    (height, width), leaf = trunk.grid_size, name.rpartition(".")[2]
    if side is None or tensor.shape[1:] != shape[1:]:
        return None
    if leaf == "table":
        return resize_relative_table(tensor, side, side, height, width), f"{side}x{side} -> {height}x{width} (bicubic)"
    length = height if leaf == "table_high" else width
    return resize_offset_vectors(tensor, length), f"{side} -> {length} (linear)"


def _widen(kernel: Tensor, present: Tensor, first_kernel: str) -> tuple[Tensor, str]:
    """A kernel of 3 channels for as many as the `present` one of the model has."""
    channels = present.shape[1]
    if first_kernel == "halfcopy":
        return adapt_input_conv(channels, kernel), f"3 -> {channels} channels"
    if channels < 3:
        raise InputError(
            f"first_kernel={first_kernel!r} for {channels} channels", expected="more channels than the file's 3"
        )
    if first_kernel == "copy":
        wide = kernel.repeat(1, -(-channels // 3), 1, 1)[:, :channels]
    else:
        wide = torch.cat([kernel, present[:, 3:].to(kernel)], 1)
    return wide, f"3 -> {channels} channels ({first_kernel})"
