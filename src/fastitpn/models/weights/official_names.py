"""Published parameter names and layouts, to ours and back, bit-exactly.

The published model keeps one flat `blocks` list (merges included) and convolutions; ours keeps stages and Linear layers
over cells. The table in `docs/names.md` lists every pair. Names here are those of a `FastITPN` (our pre-training
model's `backbone.` prefix is left out) plus the pre-training parts, which have names of their own.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.models.weights.itpn_names import are_merges, from_itpn_names, is_itpn, to_itpn_names

StateDict = dict[str, Tensor]
BACKBONE = "backbone."

# Layers outside the blocks: (ours, published, kind of layout)
_PLAIN = [
    ("patch_embed.proj", "patch_embed.proj", "same"),
    ("norm", "norm", "same"),
    ("fc_norm", "fc_norm", "same"),
    ("head", "head", "same"),
    ("predictor", "lm_head", "same"),
    ("pyramid.lateral16", "align_dim_16tofpn", "pointwise"),
    ("pyramid.lateral8", "align_dim_16to8", "pointwise"),
    ("pyramid.lateral4", "align_dim_8to4", "pointwise"),
    ("merge16.norm", "decoder_embed.0.0", "same"),
    ("merge8.norm", "decoder_embed.1.0", "same"),
    ("merge4.norm", "decoder_embed.2.0", "same"),
    ("merge16.proj", "decoder_embed.0.1", "kernel"),
    ("merge8.proj", "decoder_embed.1.1", "kernel"),
    ("merge4.proj", "decoder_embed.2.1", "kernel"),
    ("pyramid.up8.norm", "split_16to8.norm", "same"),
    ("pyramid.up4.norm", "split_8to4.norm", "same"),
    ("pyramid.up8", "split_16to8.reduction", "transposed"),
    ("pyramid.up4", "split_8to4.reduction", "transposed"),
]
_CELL_BLOCKS = [
    ("pyramid.output16", "fpn_modules.0"),
    ("pyramid.output8", "fpn_modules.1"),
    ("pyramid.output4", "fpn_modules.2"),
    ("pyramid.refine8.{}", "block_16to8.{}"),
    ("pyramid.refine4.{}", "block_8to4.{}"),
]
_CELL_BLOCK_PARTS = [
    ("norm", "norm2", "same"),
    ("mlp.fc1", "mlp.fc1", "pointwise"),
    ("mlp.norm", "mlp.ffn_ln", "same"),
    ("mlp.fc2", "mlp.fc2", "pointwise"),
]
_ATTENTION_BLOCK_PARTS = [
    ("norm1", "norm1", "same"),
    ("norm2", "norm2", "same"),
    ("attn.proj", "attn.proj", "same"),
    ("mlp.gate", "mlp.w1", "same"),
    ("mlp.value", "mlp.w2", "same"),
    ("mlp.norm", "mlp.ffn_ln", "same"),
    ("mlp.fc1", "mlp.fc1", "same"),
    ("mlp.fc2", "mlp.w3", "same"),  # "mlp.fc2" in blocks without SwiGLU
]
_EXPERTS = {  # UETrack's, in place of the feed-forward network
    "gate_weight": "experts.w1_weight",
    "gate_bias": "experts.w1_bias",
    "value_weight": "experts.w2_weight",
    "value_bias": "experts.w2_bias",
    "fc2_weight": "experts.w3_weight",
    "fc2_bias": "experts.w3_bias",
    "hidden_norm.weight": "experts.ffn_ln.weight",
    "hidden_norm.bias": "experts.ffn_ln.bias",
    "slots.weight": "to_slot_embeds.0.weight",
    "slot_gamma": "to_slot_embeds.2.gamma",
}
_ATTENTION_BLOCK_TENSORS = ["gamma_1", "gamma_2", "attn.q_bias", "attn.v_bias"]
_RELATIVE_POSITION = {
    "table": "relative_position_bias_table",
    "table_high": "relative_position_bias_for_high",
    "table_width": "relative_position_bias_for_width",
}


# ---------------------------------------------------------------------- layouts: (to ours, to published)


def _cell_order(side: int) -> Tensor:
    """Row-major position of each cell in hierarchical order, for 2x2 or 4x4 cells."""
    index = torch.arange(side * side).view(side, side)
    if side <= 2:
        return index.flatten()
    return index.view(2, 2, 2, 2).permute(0, 2, 1, 3).flatten()  # [y8, y4, x8, x4] -> [y8, x8, y4, x4]


def _kernel_to_linear(kernel: Tensor) -> Tensor:
    """[out, in, k, k] to [out, k * k * in], cells in hierarchical order, channels innermost."""
    out, channels, side, _ = kernel.shape
    cells = kernel.permute(0, 2, 3, 1).reshape(out, side * side, channels)
    return cells[:, _cell_order(side)].reshape(out, -1)


def _linear_to_kernel(weight: Tensor, channels: int) -> Tensor:
    out = weight.shape[0]
    side = int((weight.shape[1] // channels) ** 0.5)
    cells = weight.reshape(out, side * side, channels)[:, torch.argsort(_cell_order(side))]
    return cells.reshape(out, side, side, channels).permute(0, 3, 1, 2).contiguous()


def _transposed_to_linear(kernel: Tensor) -> Tensor:
    """ConvTranspose2d [in, out, 2, 2] to [4 * out, in]."""
    return kernel.permute(2, 3, 1, 0).reshape(-1, kernel.shape[0])


def _linear_to_transposed(weight: Tensor) -> Tensor:
    return weight.reshape(2, 2, -1, weight.shape[1]).permute(3, 2, 0, 1).contiguous()


def _mask_token_to_ours(token: Tensor) -> Tensor:
    """[1, 1, 16 * C] in (channel, row, column) order to [16, C] in hierarchical cell order."""
    return token.reshape(-1, 16).t()[_cell_order(4)].contiguous()


def _mask_token_to_official(token: Tensor) -> Tensor:
    return token[torch.argsort(_cell_order(4))].t().reshape(1, 1, -1)


# ---------------------------------------------------------------------- the table of one model


class _Names:
    """Pairs of names for a model with n1 and n2 blocks in its first stages."""

    def __init__(self, n1: int, n2: int, num_blocks: int, swiglu: bool, pyramid_depth: int):
        pairs = [(o, p, kind) for o, p, kind in _PLAIN]
        merges = [(n1, "stages.1.merge"), (n1 + 1 + n2, "stages.2.merge")]
        for index, ours in merges:
            pairs.append((f"{ours}.norm", f"blocks.{index}.norm", "same"))
            pairs.append((f"{ours}.reduction", f"blocks.{index}.reduction", "kernel"))
        cell_blocks = [(f"stages.0.blocks.{i}", f"blocks.{i}") for i in range(n1)]
        cell_blocks += [(f"stages.1.blocks.{i}", f"blocks.{n1 + 1 + i}") for i in range(n2)]
        for ours, published in _CELL_BLOCKS:
            cell_blocks += [(ours.format(i), published.format(i)) for i in range(pyramid_depth if "{" in ours else 1)]
        for ours, published in cell_blocks:
            pairs += [(f"{ours}.{o}", f"{published}.{p}", kind) for o, p, kind in _CELL_BLOCK_PARTS]
        self.tensors = [("pos_embed", "pos_embed"), ("cls_token", "cls_token")]
        self.tensors += [(f"rel_pos_bias.{o}", f"rel_pos_bias.{p}") for o, p in _RELATIVE_POSITION.items()]
        first = n1 + n2 + 2
        self.attention = [(f"stages.2.blocks.{i}", f"blocks.{first + i}") for i in range(num_blocks - first)]
        for ours, published in self.attention:
            for o, p, kind in _ATTENTION_BLOCK_PARTS:
                if o == "mlp.fc2" and not swiglu:
                    p = "mlp.fc2"
                pairs.append((f"{ours}.{o}", f"{published}.{p}", kind))
            self.tensors += [(f"{ours}.{t}", f"{published}.{t}") for t in _ATTENTION_BLOCK_TENSORS]
            self.tensors += [(f"{ours}.mlp.{o}", f"{published}.{p}") for o, p in _EXPERTS.items()]
            self.tensors += [
                (f"{ours}.attn.rel_pos_bias.{o}", f"{published}.attn.{p}") for o, p in _RELATIVE_POSITION.items()
            ]
        self.pairs = pairs


def is_official(state_dict: Mapping[str, Tensor]) -> bool:
    """Whether names are the published ones (a flat `blocks` list)."""
    return any(re.match(r"blocks\.\d+\.", name) for name in state_dict)


def from_official_names(state_dict: Mapping[str, Tensor]) -> tuple[StateDict, dict[str, tuple[str, ...]]]:
    """Published names and layouts to ours; those of iTPN and HiViT, too.

    Args:
        state_dict: A published classifier's or pre-training model's tensors.

    Returns:
        Our tensors (pre-training parts under `mask_token`, `merge*`, `predictor`; names without a counterpart are kept
        as they are), and for each of our names the published ones it was made of.

    Raises:
        InputError: The two merges that mark the stages are not there.
    """
    merges = sorted(int(m[1]) for k in state_dict if (m := re.fullmatch(r"blocks\.(\d+)\.reduction\.weight", k)))
    if len(merges) != 2:
        raise InputError(
            "these are not Fast-iTPN weights: no two merges among their blocks",
            expected="blocks.N.reduction.weight at the end of stages 1 and 2",
        )
    shapes = [state_dict[f"blocks.{merge}.reduction.weight"].shape for merge in merges]
    if are_merges(shapes):
        return from_itpn_names(state_dict)
    if any(len(shape) != 4 for shape in shapes):
        raise InputError(
            f"these are not Fast-iTPN weights: merges of shapes {' and '.join(str(list(shape)) for shape in shapes)}",
            expected="convolutions [2C, C, 2, 2], or matrices [2C, 4C] in weights of iTPN and HiViT",
        )
    num_blocks = 1 + max(int(m[1]) for k in state_dict if (m := re.match(r"blocks\.(\d+)\.", k)))
    depth = 1 + max((int(m[1]) for k in state_dict if (m := re.match(r"block_16to8\.(\d+)\.", k))), default=0)
    swiglu = any(name.endswith(".mlp.w1.weight") for name in state_dict)
    names = _Names(merges[0], merges[1] - merges[0] - 1, num_blocks, swiglu, depth)
    rest = dict(state_dict)
    ours: StateDict = {}
    origin: dict[str, tuple[str, ...]] = {}

    def take(name: str, published: str, convert: Callable[[Tensor], Tensor]) -> None:
        if published in rest:
            ours[name] = convert(rest.pop(published))
            origin[name] = (published,)

    weight_layouts: dict[str, Callable[[Tensor], Tensor]] = {
        "same": lambda t: t,
        "pointwise": lambda t: t.flatten(1),
        "kernel": _kernel_to_linear,
        "transposed": _transposed_to_linear,
    }
    for name, published, kind in names.pairs:
        take(f"{name}.weight", f"{published}.weight", weight_layouts[kind])
        take(f"{name}.bias", f"{published}.bias", weight_layouts["same"])
    for name, published in names.tensors:
        take(name, published, weight_layouts["same"])
    take("mask_token", "mask_token", _mask_token_to_ours)
    for name, published in names.attention:
        parts = [f"{published}.attn.{p}_proj.weight" for p in "qkv"]
        if all(part in rest for part in parts):
            ours[f"{name}.attn.qkv.weight"] = torch.cat([rest.pop(part) for part in parts])
            origin[f"{name}.attn.qkv.weight"] = tuple(parts)
        take(f"{name}.attn.qkv.weight", f"{published}.attn.qkv.weight", weight_layouts["same"])
    for name in [k for k in rest if k.endswith("relative_position_index")]:
        rest.pop(name)  # a buffer that follows from the grid
    for name, tensor in rest.items():
        ours[name], origin[name] = tensor, (name,)
    return ours, origin


def to_official_names(state_dict: Mapping[str, Tensor]) -> StateDict:
    """Our names and layouts back to the published ones; `load_weights` of the result is bit-exact.

    Args:
        state_dict: Weights of a `FastITPN` or of a pre-training model.

    Returns:
        A state dict the published code would load.

    Raises:
        InputError: A name that the published model does not have.
    """
    tensors = {name.removeprefix(BACKBONE): tensor for name, tensor in state_dict.items()}
    if is_itpn(tensors):
        renamed, strange = to_itpn_names(tensors)
        _check_names(strange)
        return renamed

    def count(pattern: str) -> int:
        return 1 + max((int(m[1]) for k in tensors if (m := re.match(pattern, k))), default=-1)

    n1, n2, n3 = (count(rf"stages\.{i}\.blocks\.(\d+)\.") for i in range(3))
    swiglu = any(k.endswith("mlp.gate.weight") for k in tensors)
    sub_norm = "stages.2.blocks.0.mlp.norm.weight" in tensors
    names = _Names(n1, n2, n1 + n2 + 2 + n3, swiglu, max(1, count(r"pyramid\.refine8\.(\d+)\.")))
    widths = {k.removesuffix(".weight"): t.shape[0] for k, t in tensors.items() if k.endswith(".norm.weight")}
    official: StateDict = {}

    def give(name: str, published: str, convert: Callable[[Tensor], Tensor]) -> None:
        if name in tensors:
            official[published] = convert(tensors.pop(name))

    for name, published, kind in names.pairs:
        channels = widths.get(f"{name.rsplit('.', 1)[0]}.norm", 1)  # of the cells that go into a merging layer
        weight_layouts: dict[str, Callable[[Tensor], Tensor]] = {
            "same": lambda t: t,
            "pointwise": lambda t: t[..., None, None],
            "kernel": partial(_linear_to_kernel, channels=channels),
            "transposed": _linear_to_transposed,
        }
        give(f"{name}.weight", f"{published}.weight", weight_layouts[kind])
        give(f"{name}.bias", f"{published}.bias", weight_layouts["same"])
    for name, published in names.tensors:
        give(name, published, lambda t: t)
    give("mask_token", "mask_token", _mask_token_to_official)
    for name, published in names.attention:
        qkv = tensors.pop(f"{name}.attn.qkv.weight", None)
        if qkv is None:
            continue
        if sub_norm:  # the published sub-LN form stores three matrices
            for letter, part in zip("qkv", qkv.chunk(3), strict=True):
                official[f"{published}.attn.{letter}_proj.weight"] = part.clone()
        else:
            official[f"{published}.attn.qkv.weight"] = qkv
    _check_names(list(tensors))
    return official


def _check_names(strange: list[str]) -> None:
    if strange:
        raise InputError(
            f"{len(strange)} tensors have no published name", where=", ".join(strange[:5]), expected="a Fast-iTPN"
        )
