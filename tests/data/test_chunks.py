"""Images that are held together, and those of them that a network takes at once."""

import pytest

from fastitpn.data import chunks as module
from fastitpn.data.chunks import chunks, equal_sizes


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1, 1, 1, 1, 1], [[1, 1, 1], [1, 1]]),
        ([4, 7, 1, 1, 1, 1], [[4], [7, 1, 1], [1, 1]]),
        ([20, 1, 20], [[20], [1], [20]]),  # one is always taken
        ([5, 5, 5], [[5, 5], [5]]),
        ([], []),
    ],
)
def test_chunks_keep_the_order_and_hold_no_more_than_they_may(sizes, expected, monkeypatch):
    monkeypatch.setattr(module, "MOST_HELD", 10)
    assert list(chunks(sizes, 3, lambda size: size)) == expected


def test_a_full_chunk_does_not_wait_for_the_next_item():
    taken = []
    stream = chunks((taken.append(item) or item for item in range(9)), 2, lambda item: 1)
    assert next(stream) == [0, 1]
    assert taken == [0, 1]


def test_equal_sizes():
    sizes = ["a", "b", "a", "a", "c", "b"]
    assert equal_sizes(sizes, lambda size: {"a": 2, "b": 9, "c": 0}[size]) == [[0, 2], [3], [1, 5], [4]]
