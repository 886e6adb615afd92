"""The LayerNorm of every block."""

from functools import partial

from timm.layers import LayerNorm
from torch import nn

Norm = partial(LayerNorm, eps=1e-6)
"""Every LayerNorm of the published models: affine, eps 1e-6."""


def set_norm_eps(model: nn.Module, eps: float) -> None:
    """Give every LayerNorm of a model another eps: iTPN's detectors have PyTorch's, 1e-5."""
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = eps
