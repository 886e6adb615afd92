"""Deformable attention by transformers, with the published start values."""

import math
from typing import Any

import torch
from torch import nn
from transformers import DeformableDetrConfig
from transformers.models.deformable_detr.modeling_deformable_detr import DeformableDetrMultiscaleDeformableAttention


def deformable_attention(width: int, *, heads: int, levels: int, points: int) -> nn.Module:
    """Multi-scale deformable attention (Zhu et al., 2021) whose points start on rays all around.

    Args:
        width: Channels.
        heads: Attention heads.
        levels: Feature maps that are looked at.
        points: Places on each map that a head looks at.
    """
    settings: dict[str, Any] = {"d_model": width, "num_feature_levels": levels}
    attention = DeformableDetrMultiscaleDeformableAttention(DeformableDetrConfig(**settings), heads, points)
    angles = torch.arange(heads) * (2 * math.pi / heads)
    rays = torch.stack([angles.cos(), angles.sin()], -1)  # [heads, 2]
    rays = rays / rays.abs().amax(-1, keepdim=True)
    reach = torch.arange(1, points + 1)[:, None]
    with torch.no_grad():
        for layer in (attention.value_proj, attention.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            layer.bias.zero_()
        for layer in (attention.sampling_offsets, attention.attention_weights):
            layer.weight.zero_()
            layer.bias.zero_()
        attention.sampling_offsets.bias.copy_((rays[:, None, None] * reach).expand(-1, levels, -1, -1).flatten())
    return attention
