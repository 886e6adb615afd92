"""The LayerNorm of every block."""

from functools import partial

from timm.layers import LayerNorm

Norm = partial(LayerNorm, eps=1e-6)
"""Every LayerNorm of the published models: affine, eps 1e-6."""
