"""Heads of queries find as many objects in an image as they have queries: says where images have more."""

from collections.abc import Sequence

from fastitpn.console import say


def say_if_many(counts: Sequence[int], queries: int | None, key: str, rest: str = "teach nothing") -> None:
    """A hint where images have more objects than a network can find in one.

    Args:
        counts: Objects of each image.
        queries: How many it finds at most; None for no limit.
        key: What sets that, such as "detector.queries".
        rest: What becomes of the objects beyond.
    """
    full = sum(count > queries for count in counts) if queries is not None else 0
    if full:
        share = f"{full} of {len(counts)} images ({100 * full / len(counts):.2g}%)"
        say(
            f"{share} have more objects than the {queries} that the network finds at most, up to {max(counts)}; the "
            f"rest of them {rest}: {key}={max(counts)} finds all"
        )


MISSED = "are missed, also by a perfect network"
"""What becomes of objects beyond the queries in an evaluation."""
