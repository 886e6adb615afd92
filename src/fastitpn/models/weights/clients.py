"""What other projects keep beside a Fast-iTPN in their files, and how they store its position table."""

import re
from collections.abc import Iterable, Mapping

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
    (r"blocks\.\d+\.(experts|to_slot_embeds)\..+", "experts of a tracker"),
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


def search_table(tensors: Mapping[str, Tensor]) -> Tensor | None:
    """The part of a tracker's position table that is for the search image.

    Args:
        tensors: With `pos_embed`, published or our names.

    Returns:
        [1, N, D], with a row of zeros before it for a class token, which has no position there; None if the table is
        not of search and template.
    """
    table = tensors.get("pos_embed")
    if table is None or table.ndim != 3 or (side := template_side(table.shape[1])) is None:
        return None
    if "cls_token" not in tensors:
        return table[:, : 4 * side * side]
    return torch.cat([torch.zeros_like(table[:, :1]), table[:, : 4 * side * side]], 1)
