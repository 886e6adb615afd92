"""Images that are in memory together: so many that follow each other, and of these the ones of one size."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Size = TypeVar("Size", bound=Hashable)

TOGETHER = 64
"""Images that are held at a time, where nothing else is asked for."""
MOST_HELD = 2**24
"""Pixels of the images that are held at a time: 200 MB in float32."""


def chunks(items: Iterable[Item], most: int, pixels: Callable[[Item], int]) -> Iterator[list[Item]]:
    """Items that follow each other: as many as may be held, at least one.

    Args:
        items: Of any number; they are taken as they are needed.
        most: Items in a list at most.
        pixels: How many pixels an item holds; `MOST_HELD` of them may be in a list.
    """
    chunk: list[Item] = []
    held = 0
    for item in items:
        size = pixels(item)
        if chunk and held + size > MOST_HELD:
            yield chunk
            chunk, held = [], 0
        chunk.append(item)
        held += size
        if len(chunk) == most:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def equal_sizes(sizes: Sequence[Size], most: Callable[[Size], int]) -> list[list[int]]:
    """Places of the items that a network takes at once: all of one size.

    Args:
        sizes: Size of each item.
        most: How many of a size may be taken at once; one is always.

    Returns:
        The places, in their order within each list.
    """
    groups: dict[Size, list[int]] = {}
    for place, size in enumerate(sizes):
        groups.setdefault(size, []).append(place)
    parts: list[list[int]] = []
    for size, places in groups.items():
        step = max(1, most(size))
        parts += [places[first : first + step] for first in range(0, len(places), step)]
    return parts
