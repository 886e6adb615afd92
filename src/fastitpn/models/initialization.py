"""Start values of the weights, as published for pre-training and for training a classifier from scratch."""

import math

import torch
from torch import Tensor, nn

from fastitpn.models.layers.attention import Attention, AttentionBlock
from fastitpn.models.layers.cell_blocks import CellBlock, CellMerge, CellSplit, PatchEmbed
from fastitpn.models.pyramid import Pyramid


@torch.no_grad()
def initialize(
    model: nn.Module, scheme: str, *, init_values: float, num_attention_blocks: int, family: str = "fastitpn"
) -> None:
    """Fill every weight of a trunk (and its pyramid) with start values.

    Args:
        model: A `FastITPN` or any module made of its parts.
        scheme: "finetune" (ARCHITECTURE 1.5: Linear truncated normal 0.02, convolutions PyTorch's default) or
            "pretrain" (2.1: Linear xavier normal, then the sub-LN rescale by sqrt(ln(2 * n3))).
        init_values: Start of the layer scales.
        num_attention_blocks: n3, for the sub-LN rescale.
        family: In "itpn" what has no attention is Linear in the published code, too; and nothing is rescaled.
    """
    _initialize_leaves(model, scheme, _published_convolutions(model) if family == "fastitpn" else set())
    for module in model.modules():
        if isinstance(module, Attention) and module.q_bias is not None and module.v_bias is not None:
            nn.init.zeros_(module.q_bias)
            nn.init.zeros_(module.v_bias)
        if isinstance(module, AttentionBlock) and module.gamma_1 is not None and module.gamma_2 is not None:
            nn.init.constant_(module.gamma_1, init_values)
            nn.init.constant_(module.gamma_2, init_values)
        if isinstance(module, CellBlock) and module.gamma is not None:
            nn.init.constant_(module.gamma, init_values)
    if scheme == "pretrain" and family == "fastitpn":
        _rescale_sub_norm(model, math.sqrt(math.log(2 * num_attention_blocks)))


def initialize_table(table: Tensor, scheme: str) -> None:
    """Position and class token tables: normal of std 0.02, cut at +-2 (fine-tuning) or +-0.02 (pre-training)."""
    cut = 0.02 if scheme == "pretrain" else 2.0
    nn.init.trunc_normal_(table, std=0.02, a=-cut, b=cut)


def _initialize_leaves(model: nn.Module, scheme: str, convolutions: set[int]) -> None:
    fused = {id(module.qkv) for module in model.modules() if isinstance(module, Attention)}
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, CellSplit):
            if module.bias is None:  # a Linear
                nn.init.trunc_normal_(module.weight, std=0.02)
                continue
            # PyTorch's default of ConvTranspose2d takes out_channels * 2 * 2 as fan-in
            _convolution_default(module.weight, module.bias, fan_in=module.weight.shape[0])
        elif isinstance(module, PatchEmbed):
            if scheme == "pretrain":
                flat = module.proj.weight.flatten(1)
                nn.init.xavier_uniform_(flat)
                module.proj.weight.copy_(flat.view_as(module.proj.weight))
                _convolution_default(None, module.proj.bias, fan_in=flat.shape[1])
            else:
                _convolution_default(module.proj.weight, module.proj.bias, fan_in=module.proj.weight[0].numel())
        elif isinstance(module, nn.Linear):
            if id(module) in convolutions:
                _convolution_default(module.weight, module.bias, fan_in=module.weight.shape[1])
                continue
            _initialize_linear(module, scheme, num_matrices=3 if id(module) in fused else 1)


def _initialize_linear(module: nn.Linear, scheme: str, *, num_matrices: int) -> None:
    if scheme == "pretrain":
        # q, k and v are one matrix here and three in the published model: xavier takes the fans of one of them
        for part in module.weight.chunk(num_matrices):
            nn.init.xavier_normal_(part)
    else:
        nn.init.trunc_normal_(module.weight, std=0.02)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def _published_convolutions(model: nn.Module) -> set[int]:
    """Linear layers that are convolutions in the published code, which leaves those at PyTorch's default."""
    convolutions: set[int] = set()
    for module in model.modules():
        if isinstance(module, CellBlock):
            convolutions |= {id(module.mlp.fc1), id(module.mlp.fc2)}
        elif isinstance(module, CellMerge):
            convolutions.add(id(module.reduction))
        elif isinstance(module, Pyramid):
            convolutions |= {id(module.lateral16), id(module.lateral8), id(module.lateral4)}
    return convolutions


def _convolution_default(weight: Tensor | None, bias: Tensor | None, *, fan_in: int) -> None:
    """PyTorch's default of a convolution: both uniform within 1 / sqrt(fan-in)."""
    bound = 1 / math.sqrt(fan_in)
    for tensor in (weight, bias):
        if tensor is not None:
            nn.init.uniform_(tensor, -bound, bound)


def _rescale_sub_norm(model: nn.Module, scale: float) -> None:
    """Multiply the value and output paths by `scale`, weights and biases (but not v_bias)."""
    for module in model.modules():
        if isinstance(module, CellBlock):
            layers: list[nn.Linear] = [module.mlp.fc1, module.mlp.fc2]
        elif isinstance(module, AttentionBlock):
            layers = [child for child in module.mlp.children() if isinstance(child, nn.Linear)]
            layers.append(module.attn.proj)
            dim = module.attn.proj.weight.shape[0]
            module.attn.qkv.weight[2 * dim :].mul_(scale)
        else:
            continue
        for layer in layers:
            layer.weight.mul_(scale)
            layer.bias.mul_(scale)
