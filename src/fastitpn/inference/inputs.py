"""Images on their way to a model: checked before anything is computed, and read by workers."""

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

import torch
from torch.utils.data import Dataset

from fastitpn.data.chunks import chunks
from fastitpn.data.images.readable import check_readable
from fastitpn.data.images.reading import Reading
from fastitpn.errors import InputError
from fastitpn.inference.results import Skipped
from fastitpn.inference.sources import ImageLike, Source, collect_sources
from fastitpn.training.loading import ImageLoader, MicroBatches, worker_errors
from fastitpn.training.progress import ProgressDisplay

Sample = tuple[int, Any]
"""Place of an image, with what the transform made of it, or the `InputError` that says what is wrong with it."""


class ReadSources(Dataset[Sample]):
    """The inputs of a model, by the place of their image.

    Args:
        sources: The images to read.
        transform: From an RGB image to the model's input.
    """

    def __init__(self, sources: Sequence[Source], transform: Callable[[Any], Any]):
        self.sources = sources
        self.transform = transform

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> Sample:
        try:
            return index, self.transform(self.sources[index].read())
        except InputError as error:
            return index, error


def read_inputs(
    images: ImageLike | Iterable[ImageLike],
    transform: Callable[[Any], Any],
    *,
    how: Reading | None = None,
    batch: int = 1,
    pixels: Callable[[Any], int] | None = None,
    workers: int,
    workers_from: int,
    on_error: str,
    progress: bool,
) -> Generator[list[tuple[int, Source, Any]], None, None]:
    """Batches of images as a model takes them, in their order. To be closed.

    Args:
        images: One or many, of any form.
        transform: From an RGB image to the model's input.
        how: Range of values and largest size; None: as the command that runs reads images.
        batch: Images in one batch.
        pixels: How many an input holds, where inputs have sizes of their own: a batch then has fewer large ones.
        workers: Processes that load them.
        workers_from: With no more images than this they are loaded in this process.
        on_error: "stop" or "skip", for images that cannot be read.
        progress: Show a bar, if this is a terminal.

    Yields:
        Place, image, and what the transform made of it, or a `Skipped`.

    Raises:
        InputError: Something given is not an image, or an image cannot be read and `on_error` is "stop".
    """
    check_on_error(on_error)
    sources = [replace(source, how=how) for source in collect_sources(images)]
    if on_error == "stop":
        check_files(sources)
    loader = ImageLoader(
        ReadSources(sources, transform),
        batch_size=1 if pixels else batch,
        num_workers=workers if len(sources) > workers_from else 0,
        collate_fn=list,
        generator=torch.Generator(),  # else making a loader draws from the caller's
    )
    display = ProgressDisplay("predicting", step=0, steps=len(sources), enabled=progress)
    with worker_errors(), display, closing(MicroBatches(loader, 1)) as batches:
        samples = (sample for step in batches for sample in cast(list[Sample], step[0]))
        for chunk in chunks(samples, batch, lambda sample: _held(sample, pixels)):
            read = []
            for index, sample in chunk:
                if isinstance(sample, InputError):
                    if on_error == "stop":
                        raise sample
                    sample = Skipped(index=index, name=sources[index].name, reason=sample.what)
                read.append((index, sources[index], sample))
            yield read
            display.advance(read[-1][0] + 1)


def _held(sample: Sample, pixels: Callable[[Any], int] | None) -> int:
    return 0 if pixels is None or isinstance(sample[1], InputError) else pixels(sample[1])


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
