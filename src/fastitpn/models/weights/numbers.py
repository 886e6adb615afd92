"""The numbers of weights: all of them are in the file, and they are finite."""

from collections.abc import Mapping

import torch
from torch import Tensor

from fastitpn.errors import InputError

_WITH_EXTREMES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

_WEIGHTS = ("patch_embed.proj.weight", "pos_embed", "mlp.fc1.weight", "mlp.w1.weight", "mlp.gate.weight")
"""How the names of tensors end that are weights in any network of this family, and never counters or indices."""


def check_storage(name: str, tensors: Mapping[str, Tensor]) -> None:
    """That a file has every number of its tensors: one of a few bytes can claim to be larger than any memory.

    Raises:
        InputError: It does not.
    """
    for key, tensor in tensors.items():
        plain = tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta)
        if not plain or tensor.nbytes > tensor.untyped_storage().nbytes():
            raise InputError(
                f"{key} is not stored number by number (sparse, quantised, expanded or without values)",
                where=name,
                expected="plain tensors",
                fix="save them as tensor.dequantize().to_dense().contiguous()",
            )


def check_format(name: str, tensors: Mapping[str, Tensor]) -> None:
    """That a trunk's weights are real numbers of 16 bits or more: those of quantised files mean others than they are.

    Raises:
        InputError: They are not.
    """
    for key, tensor in tensors.items():
        if tensor.dtype not in _WITH_EXTREMES and key.endswith(_WEIGHTS):
            raise InputError(
                f"{key} has numbers of {str(tensor.dtype).removeprefix('torch.')}, as quantised weights have",
                where=name,
                expected="float32, float16, bfloat16 or float64",
                fix="give the file that these weights were made from, or save them as tensor.dequantize()",
            )


def check_numbers(name: str, state_dict: Mapping[str, Tensor]) -> None:
    """That every number is finite.

    Raises:
        InputError: One is not.
    """
    broken = [key for key, tensor in state_dict.items() if tensor.is_floating_point() and not _is_finite(tensor)]
    if broken:
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        raise InputError(
            f"NaN or infinite numbers in {', '.join(broken[:3])}{more}",
            where=name,
            expected="finite weights",
            fix="use an earlier checkpoint: this training had diverged, or the file is damaged",
        )


def _is_finite(tensor: Tensor) -> bool:
    """Whether all numbers are; by their extremes, which takes a thirtieth of the time that `isfinite` of each does."""
    if tensor.is_meta or tensor.numel() == 0:
        return True
    if tensor.dtype not in _WITH_EXTREMES:
        return bool(tensor.float().isfinite().all())
    least, most = tensor.aminmax()
    return bool(least.isfinite() and most.isfinite())
