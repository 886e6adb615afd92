"""Images on their way to a model: checked before anything is computed, and read by workers."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from fastitpn.data.readable import check_readable
from fastitpn.errors import InputError
from fastitpn.inference.sources import Source

Sample = tuple[int, Tensor | InputError]
"""Place of an image, with the model's input [3, H, W] or what is wrong with it."""


class ReadSources(Dataset[Sample]):
    """The inputs of a model, by the place of their image.

    Args:
        sources: The images.
        transform: From an RGB image to a tensor.
    """

    def __init__(self, sources: Sequence[Source], transform: Callable[[Any], Tensor]):
        self.sources = sources
        self.transform = transform

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> Sample:
        try:
            return index, self.transform(self.sources[index].read())
        except InputError as error:
            return index, error


def check_on_error(on_error: str) -> None:
    """Make sure that it is "stop" or "skip".

    Raises:
        InputError: It is not.
    """
    if on_error not in ("stop", "skip"):
        raise InputError(f"on_error is {on_error!r}", expected="'stop' or 'skip'")


def check_files(sources: Sequence[Source]) -> None:
    """Finds damaged files before the first batch, all at once.

    Raises:
        InputError: One error for all files; up to ten are named.
    """
    paths = [source.path for source in sources if source.path is not None]
    if len(paths) < 2:  # a single one is about to be read
        return
    try:
        check_readable(paths)
    except InputError as error:
        raise InputError(
            error.what,
            where=error.where,
            expected=error.expected,
            fix='replace or delete these files, or leave them out with on_error="skip"',
        ) from None
