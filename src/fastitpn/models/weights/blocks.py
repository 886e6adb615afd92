"""Some of the blocks of stage 3, for a model that is less deep than the weights."""

from collections.abc import Mapping

from torch import Tensor

from fastitpn.errors import InputError


def range_of(blocks: str, depth: int, name: str) -> tuple[int, int]:
    """First and last block of a text such as "1-6", counted from 1.

    Raises:
        InputError: It is no such text, or the weights of that name have fewer blocks than that.
    """
    first, _, last = blocks.partition("-")
    if first.isdecimal() and (last or first).isdecimal() and 1 <= int(first) <= int(last or first) <= depth:
        return int(first), int(last or first)
    raise InputError(
        f"blocks={blocks} in weights with {depth} blocks of stage 3",
        where=name,
        expected=f"blocks=FIRST-LAST, from 1 to {depth}",
        fix=f"blocks=1-{max(1, depth // 2)}",
    )


def cut(
    tensors: Mapping[str, Tensor], origin: Mapping[str, tuple[str, ...]], first: int, last: int
) -> tuple[dict[str, Tensor], dict[str, tuple[str, ...]], list[str]]:
    """Stage 3 from one block to another, counted from 1; and the names of the others in the file."""
    start = "stages.2.blocks."
    names: dict[str, str] = {}
    left: list[str] = []
    for name in tensors:
        number, _, rest = name.removeprefix(start).partition(".")
        if not name.startswith(start):
            names[name] = name
        elif first <= int(number) + 1 <= last:
            names[name] = f"{start}{int(number) + 1 - first}.{rest}"
        else:
            left += origin[name]
    return {n: tensors[o] for o, n in names.items()}, {n: origin[o] for o, n in names.items()}, left
