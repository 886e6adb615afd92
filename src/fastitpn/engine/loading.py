"""What comes from the loader: batches by the step, and the errors of worker processes as they were raised there."""

import itertools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from fastitpn.errors import InputError, TrainingError


def micro_batches(loader: DataLoader[Any], accumulate: int) -> Iterator[list[dict[str, Tensor]]]:
    """Lists of `accumulate` batches, one list a step."""
    with warnings.catch_warnings():
        # Python 3.12 warns when a process with threads forks; torch's workers are made for that.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        batches = iter(loader)
    while step := list(itertools.islice(batches, accumulate)):
        yield step


@contextmanager
def worker_errors() -> Iterator[None]:
    """Turns what torch makes of trouble in data workers into the errors of this package.

    Raises:
        InputError: As raised in a worker, without the traceback that torch puts into its text.
        TrainingError: A worker died.
    """
    try:
        yield
    except InputError as error:
        raise _original(error) from error.__cause__
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker (pid"):
            raise
        raise TrainingError(
            f"a process that loads data died: {str(error).splitlines()[0]}\n"
            "  expected: enough memory, and shared memory (/dev/shm), for all of them\n"
            "  fix:      type the same command again with a smaller workers="
        ) from error


def _original(error: InputError) -> InputError:
    text = str(error)
    if not text.startswith("Caught "):
        return error
    kind = type(error)  # torch's text ends with the traceback, whose last lines are the type and the real text
    return kind(text.rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].rstrip())
