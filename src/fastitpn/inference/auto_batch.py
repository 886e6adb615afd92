"""Work in batches that fit into memory: when it runs out, in half as large ones."""

from collections.abc import Callable
from typing import TypeVar

import torch

from fastitpn.console import say
from fastitpn.errors import InputError, is_out_of_memory

Result = TypeVar("Result")


class AutoBatch:
    """Remembers what fitted, so that memory runs out once and not in every batch.

    Args:
        unit: What is in a batch, such as "images", for the line that says that it was halved.
        fix: What to type where not even one of them fits.
    """

    def __init__(self, unit: str, fix: str):
        self.unit = unit
        self.fix = fix
        self.largest: int | None = None

    def __call__(self, run: Callable[[int], Result], size: int) -> Result:
        """Run something in batches of a size, or if memory runs out of half of it, and so on.

        Args:
            run: Takes the size of its batches. It may be called again from the start.
            size: Images of a batch to begin with.

        Raises:
            InputError: There is no memory for batches of one.
        """
        size = min(size, self.largest or size)
        while True:
            try:
                return run(size)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                reason = next(iter(str(error).splitlines()), "")
            # Not in the except clause, where the error still holds on to the tensors of the failed attempt.
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if size == 1:
                raise InputError("out of memory", where=reason or None, fix=self.fix)
            self.largest = size // 2
            say(f"out of memory with {size} {self.unit} in a batch: going on with {self.largest}")
            size = self.largest
