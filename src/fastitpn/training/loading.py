"""What comes from the loader: batches by the step, and the errors of worker processes as they were raised there."""

import itertools
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from fastitpn.errors import InputError, TrainingError


class ImageLoader(DataLoader[Any]):
    """A loader of torch's without its advice on the number of processes: where there is one core they take turns."""

    def check_worker_number_rationality(self) -> None:
        """Says nothing."""


class MicroBatches:
    """Lists of `accumulate` batches, one list a step; the workers start with the first.

    To be closed: a loader that is left to the garbage collector may wait many seconds for each of its workers.
    """

    def __init__(self, loader: DataLoader[Any], accumulate: int):
        self._loader = loader
        self._accumulate = accumulate
        self._batches: Iterator[dict[str, Tensor]] | None = None

    def __iter__(self) -> Iterator[list[dict[str, Tensor]]]:
        return self

    def __next__(self) -> list[dict[str, Tensor]]:
        if self._batches is None:
            self._batches = self._start()
        try:
            batches = list(itertools.islice(self._batches, self._accumulate))
        except (OSError, EOFError) as error:
            # A worker that dies while it hands a batch over shows as a broken connection.
            if self._loader.num_workers == 0 or str(error).startswith("Caught "):
                raise
            raise _died(repr(error)) from error
        if len(batches) < self._accumulate:
            raise StopIteration
        return batches

    def close(self) -> None:
        """Ends the workers."""
        if (shutdown := getattr(self._batches, "_shutdown_workers", None)) is not None:
            shutdown()

    def _start(self) -> Iterator[dict[str, Tensor]]:
        with warnings.catch_warnings():
            # Python 3.12 warns when a process with threads forks; torch's workers are made for that.
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            return iter(self._loader)


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
        raise _died(str(error).splitlines()[0]) from error


def _died(reason: str) -> TrainingError:
    return TrainingError(
        f"a process that loads data died: {reason}\n"
        "  expected: enough memory, and shared memory (/dev/shm), for all of them\n"
        "  fix:      type the same command again with a smaller workers="
    )


def _original(error: InputError) -> InputError:
    text = str(error)
    if not text.startswith("Caught "):
        return error
    kind = type(error)  # torch's text ends with the traceback, whose last lines are the type and the real text
    return kind(text.rpartition(f"{kind.__module__}.{kind.__qualname__}: ")[2].rstrip())
