"""Numbers of layers, for layer-wise learning-rate decay: as published, where the two merges count as layers."""

import re

_FIRST = ("patch_embed.", "pos_embed", "cls_token", "mask_token")
_PART = re.compile(r"stages\.(\d)\.(?:merge|blocks\.(\d+))\.")


def num_layers(depths: tuple[int, ...]) -> int:
    """Layers below the head: the blocks of the three stages and the two merges between them."""
    return sum(depths) + 2


def layer_id(name: str, depths: tuple[int, ...]) -> int:
    """Layer of a parameter.

    Args:
        name: Of a parameter of a `FastITPN`.
        depths: Blocks of the three stages.

    Returns:
        0 for the patch embedding, the position table and tokens; i + 1 for the i-th block or merge in the order of the
        forward pass; `num_layers(depths) + 1` for all else.
    """
    if name.startswith(_FIRST):
        return 0
    part = _PART.match(name)
    if part is None:
        return num_layers(depths) + 1
    stage = int(part[1])
    merge = sum(depths[:stage]) + stage  # in front of the stage; the first stage has none
    return merge if part[2] is None else merge + 1 + int(part[2])
