"""What other projects keep beside a Fast-iTPN in their files, and how they store its position table."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

_CLIENTS = (
    ("UETrack", (".experts.",)),
    ("SUTrack", ("encoder.body.search_token", "text_encoder.")),
    ("MCITrack", ("encoder.body.search_token", "neck.interactions.")),
    ("SUTrack or MCITrack", ("search_token", "template_foreground_token")),
    ("CSTrack or ATCTrack", ("token_type_search",)),
    ("DUTrack", ("temporal_token", "descript_embedding.")),
    ("AQATrack", ("absolute_pos_embed", "pos_embed_x", "norm_.")),
    ("Rotated_fast_itpn", ("out_norms.",)),
    ("SARATR-X-v2", ("hogs.",)),
)
"""Project, and parts of names that its files have."""
_PARTS = (
    (r"template_\w+_token|search_token|token_type_\w+", "token types of a tracker"),
    (r"pos_embed_[xz]", "position tables of a tracker"),
    (r"(temporal|descript)\w*(\..+)?", "temporal and text tokens of a tracker"),
    (r"out_?norms?\d*\..+", "norms of a detector's maps"),
    (r"hogs\..+", "fixed filters of SARATR-X-v2's targets"),
)
"""Names beside those of a Fast-iTPN, and what they are."""


def name_client(names: Iterable[str]) -> str | None:
    """The project that a file is from, as far as the names of its tensors tell."""
    text = "\n".join(names)
    return next((client for client, parts in _CLIENTS if all(part in text for part in parts)), None)


def part_of_client(name: str) -> str | None:
    """What a tensor is that stands among those of a Fast-iTPN; None for those of Fast-iTPN itself."""
    return next((reason for pattern, reason in _PARTS if re.fullmatch(pattern, name)), None)


def template_side(rows: int) -> int | None:
    """Patches along a template's side in a table of search and template, whose sides are 2 to 1; None in others."""
    side = round((rows / 5) ** 0.5)
    return side if side and rows == 5 * side * side else None


@dataclass(frozen=True, kw_only=True)
class ClientParts:
    """Tensors of a network that other projects build on Fast-iTPN, told apart.

    Attributes:
        trunk: Those of Fast-iTPN; `pos_embed` is the table that the project uses for its (search) image.
        parts: Name of each of the others, and what it is.
        tensors: The others, and `pos_embed_template` for the template's part of a table for both images.
        table: Name that the trunk's `pos_embed` has in the file.
    """

    trunk: dict[str, Tensor]
    parts: dict[str, str]
    tensors: dict[str, Tensor]
    table: str = "pos_embed"


def split_client(tensors: Mapping[str, Tensor]) -> ClientParts:
    """Tell a client's tensors from those of the trunk.

    A class token of a tracker of one table has no position: the trunk's table gets a row of zeros for it.

    Args:
        tensors: With published or our names, without prefix.
    """
    parts = {k: reason for k in tensors if (reason := part_of_client(k)) is not None}
    trunk = {k: tensor for k, tensor in tensors.items() if k not in parts}
    others = {k: tensors[k] for k in parts}
    name = "absolute_pos_embed" if "absolute_pos_embed" in trunk else "pos_embed"  # of HiViT, of Fast-iTPN
    table, search = trunk.get(name), others.get("pos_embed_x")
    if table is None or table.ndim != 3:
        return ClientParts(trunk=trunk, parts=parts, tensors=others)
    if search is not None and search.shape[::2] == table.shape[::2]:  # beside the one of pre-training
        others[name] = table
        parts[name] = "positions of pre-training, in whose place the tracker has its own"
        del parts["pos_embed_x"]
        trunk[name] = torch.cat([table[:, :1], search], 1) if "cls_token" in trunk else search
        return ClientParts(trunk=trunk, parts=parts, tensors=others, table="pos_embed_x")
    if name == "pos_embed" and (side := template_side(table.shape[1])):
        search, others["pos_embed_template"] = table.split([4 * side * side, side * side], 1)
        parts["pos_embed (template)"] = "positions of a tracker's template"
        trunk["pos_embed"] = torch.cat([torch.zeros_like(search[:, :1]), search], 1) if "cls_token" in trunk else search
    return ClientParts(trunk=trunk, parts=parts, tensors=others)
