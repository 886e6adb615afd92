"""Names and layouts of the published iTPN and HiViT, to ours and back, bit-exactly.

Their layers are Linear as ours are. What differs is the order in which a merge joins four cells: theirs is column by
column, ours row by row.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

StateDict = dict[str, Tensor]

_PLAIN = [
    ("pos_embed", "absolute_pos_embed"),
    ("mask_token", "mask_token"),
    ("patch_embed.proj", "patch_embed.proj"),
    ("patch_embed.norm", "patch_embed.norm"),
    ("norm", "norm_"),  # of trackers with a HiViT
    ("norm", "norm"),
    ("fc_norm", "fc_norm"),
    ("head", "head"),
    ("predictor", "lm_head"),
    ("auxiliary.predictor.norm", "norm_cls"),
    ("auxiliary.predictor.proj", "lm_cls_head"),
    ("pyramid.lateral16", "align_dim_16tofpn"),
    ("pyramid.lateral8", "align_dim_16to8"),
    ("pyramid.lateral4", "align_dim_8to4"),
    ("pyramid.up8.norm", "split_16to8.norm"),
    ("pyramid.up8", "split_16to8.reduction"),
    ("pyramid.up4.norm", "split_8to4.norm"),
    ("pyramid.up4", "split_8to4.reduction"),
    ("merge16.norm", "decoder_embed.0.0"),
    ("merge16.proj", "decoder_embed.0.1"),
    ("merge8.norm", "decoder_embed.1.0"),
    ("merge8.proj", "decoder_embed.1.1"),
    ("merge4.norm", "decoder_embed.2.0"),
    ("merge4.proj", "decoder_embed.2.1"),
    ("patch_decoder.pos_embed", "decoder_pos_embed"),
    ("patch_decoder.norm", "decoder_norm"),
    ("patch_decoder.predictor", "decoder_pred"),
]
_CELL_BLOCKS = [
    ("pyramid.output16", "fpn_modules.0"),
    ("pyramid.output8", "fpn_modules.1"),
    ("pyramid.output4", "fpn_modules.2"),
    ("pyramid.refine8.{}", "block_16to8.{}"),
    ("pyramid.refine4.{}", "block_8to4.{}"),
]
_CELL_BLOCK_PARTS = [("norm", "norm2"), ("mlp.fc1", "mlp.fc1"), ("mlp.fc2", "mlp.fc2"), ("gamma", "gamma_2")]
_ATTENTION_BLOCK_PARTS = [
    ("norm1", "norm1"),
    ("norm2", "norm2"),
    ("attn.qkv", "attn.qkv"),
    ("attn.proj", "attn.proj"),
    ("mlp.fc1", "mlp.fc1"),
    ("mlp.fc2", "mlp.fc2"),
    ("gamma_1", "gamma_1"),
    ("gamma_2", "gamma_2"),
    ("attn.rel_pos_bias.table", "attn.relative_position_bias_table"),
    ("attn.rel_pos_bias.table_high", "attn.rel_pos_h"),
    ("attn.rel_pos_bias.table_width", "attn.rel_pos_w"),
]
_ATTENTION_BLOCKS = [("auxiliary.blocks.{}", "cls_pt_layers.{}"), ("patch_decoder.blocks.{}", "decoder_blocks.{}")]
_INDEX = "relative_position_index"
_MERGE = re.compile(r"blocks\.(\d+)\.reduction\.weight")


def is_itpn(tensors: Mapping[str, Tensor]) -> bool:
    """Whether tensors, under our names or the published ones, are of an iTPN or HiViT."""
    return "patch_embed.norm.weight" in tensors


def are_merges(shapes: Sequence[torch.Size]) -> bool:
    """Whether the weights of two merges are those of iTPN: [2C, 4C], and as much again."""
    return all(len(shape) == 2 and shape[1] == 2 * shape[0] and shape[1] % 8 == 0 for shape in shapes)


def from_itpn_names(state_dict: Mapping[str, Tensor]) -> tuple[StateDict, dict[str, tuple[str, ...]]]:
    """As `official_names.from_official_names`, for a state dict with two merges that are Linear layers."""
    first, second = sorted(int(match[1]) for name in state_dict if (match := _MERGE.fullmatch(name)))
    depths = (first, second - first - 1, _count(r"blocks\.(\d+)\.", state_dict) - second - 1)
    ours: StateDict = {}
    origin: dict[str, tuple[str, ...]] = {}
    pairs = dict(_pairs(depths, state_dict, published=True))
    for published, tensor in state_dict.items():
        if published.endswith(_INDEX):
            continue  # a buffer that follows from the grid
        layer, _, leaf = published.rpartition(".")
        name = pairs.get(published) or (f"{pairs[layer]}.{leaf}" if layer in pairs else published)
        ours[name] = _convert(name, tensor, to_ours=True)
        origin[name] = (published,)
    return ours, origin


def to_itpn_names(tensors: Mapping[str, Tensor]) -> tuple[StateDict, list[str]]:
    """Published tensors of ours; and the names that have no published one."""
    depths = tuple(_count(rf"stages\.{i}\.blocks\.(\d+)\.", tensors) for i in range(3))
    pairs = {ours: published for published, ours in _pairs(depths, tensors, published=False)}
    official, strange = {}, []
    for name, tensor in tensors.items():
        layer, _, leaf = name.rpartition(".")
        published = pairs.get(name) or (f"{pairs[layer]}.{leaf}" if layer in pairs else None)
        if published is None:
            strange.append(name)
        else:
            official[published] = _convert(name, tensor, to_ours=False)
    side = relative_side(tensors)
    if side is not None:
        official[_INDEX] = _offset_index(side)
    return official, strange


def relative_side(tensors: Mapping[str, Tensor]) -> int | None:
    """Patches along a side of the (square) map that tables of relative positions, under our names, are for."""
    block = "stages.2.blocks.0.attn.rel_pos_bias"
    if f"{block}.table_high" in tensors:
        high, wide = (tensors[f"{block}.{table}"].shape[0] for table in ("table_high", "table_width"))
        return (high + 1) // 2 if high == wide else None
    table = tensors.get(f"{block}.table")
    if table is None or not is_itpn(tensors):
        return None
    offsets = round(table.shape[0] ** 0.5)
    return (offsets + 1) // 2 if offsets * offsets == table.shape[0] else None


def _pairs(depths: tuple[int, ...], tensors: Mapping[str, Tensor], *, published: bool) -> Iterator[tuple[str, str]]:
    """Published name to ours, of tensors and of layers, for a model of some depths with the given tensors."""
    n1, n2, n3 = depths
    yield from ((theirs, ours) for ours, theirs in _PLAIN)
    cells = [(f"stages.0.blocks.{i}", f"blocks.{i}") for i in range(n1)]
    cells += [(f"stages.1.blocks.{i}", f"blocks.{n1 + 1 + i}") for i in range(n2)]
    attention = [(f"stages.2.blocks.{i}", f"blocks.{n1 + n2 + 2 + i}") for i in range(n3)]
    for blocks, kinds in ((cells, _CELL_BLOCKS), (attention, _ATTENTION_BLOCKS)):
        for ours, theirs in kinds:
            pattern = re.escape(theirs if published else ours).replace(r"\{\}", r"(\d+)") + r"\."
            count = _count(pattern, tensors) if "{" in ours else 1
            blocks += [(ours.format(i), theirs.format(i)) for i in range(count)]
    for blocks, parts in ((cells, _CELL_BLOCK_PARTS), (attention, _ATTENTION_BLOCK_PARTS)):
        yield from ((f"{theirs}.{t}", f"{ours}.{o}") for ours, theirs in blocks for o, t in parts)
    for number, ours in ((n1, "stages.1.merge"), (n1 + 1 + n2, "stages.2.merge")):
        for layer in ("norm", "reduction"):
            yield f"blocks.{number}.{layer}", f"{ours}.{layer}"


def _convert(name: str, tensor: Tensor, *, to_ours: bool) -> Tensor:
    if (
        ".merge." in name and tensor.ndim and tensor.shape[-1] % 4 == 0
    ):  # four cells, the second and third of which change places
        return tensor.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :].flatten(-2)
    if name == "mask_token" and tensor.ndim:
        return tensor.reshape(1, -1) if to_ours else tensor.reshape(1, 1, -1)
    return tensor


def _offset_index(side: int) -> Tensor:
    """Published buffer: for every query and key, the row of the table for their offset, [N, N]."""
    places = torch.cartesian_prod(torch.arange(side), torch.arange(side))
    rows, columns = (places[:, None] - places[None] + side - 1).unbind(-1)
    return rows * (2 * side - 1) + columns


def _count(pattern: str, tensors: Mapping[str, Tensor]) -> int:
    return 1 + max((int(match[1]) for name in tensors if (match := re.match(pattern, name))), default=-1)
