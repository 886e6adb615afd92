"""Batches that fit into memory."""

import pytest
import torch

from fastitpn.errors import InputError
from fastitpn.inference.auto_batch import AutoBatch


def limited(limit: int, error: Exception, seen: list[int]):
    """Works in batches of up to `limit`."""

    def run(size: int) -> int:
        seen.append(size)
        if size > limit:
            raise error
        return size

    return run


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_halves_until_it_fits_and_remembers(capsys, error):
    fitting, seen = AutoBatch("images", "px=64"), []
    assert fitting(limited(5, error, seen), 32) == 4
    assert fitting(limited(5, error, seen), 32) == 4
    assert fitting(limited(5, error, seen), 3) == 3
    assert seen == [32, 16, 8, 4, 4, 3]
    assert capsys.readouterr().out.splitlines() == [
        f"out of memory with {size} images in a batch: going on with {size // 2}" for size in (32, 16, 8)
    ]


def test_not_even_one():
    with pytest.raises(InputError, match="out of memory") as caught:
        AutoBatch("images", "px=64")(limited(0, torch.OutOfMemoryError("tried 9 GiB\nmore"), []), 2)
    assert (caught.value.where, caught.value.fix) == ("tried 9 GiB", "px=64")


def test_other_errors_are_not_its_business(capsys):
    with pytest.raises(RuntimeError, match="shapes"):
        AutoBatch("images", "px=64")(limited(1, RuntimeError("shapes do not fit"), []), 8)
    assert capsys.readouterr().out == ""
