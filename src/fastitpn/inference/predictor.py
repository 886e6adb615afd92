"""What all predictors share: images of any form in, a result for each of them out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast

import torch

from fastitpn.data.images.pixel_range import FULL, PixelRange
from fastitpn.data.images.reading import Reading, current_reading
from fastitpn.inference.inputs import read_inputs
from fastitpn.inference.results import Result, Results, Skipped
from fastitpn.inference.sources import ImageLike, Source, only_source

ResultT = TypeVar("ResultT", bound=Result)

OnError = Literal["stop", "skip"]
Read = tuple[int, Source, Any]
"""An image as the model takes it: its place, the image as it was given, and what the transform made of it."""

_WORKERS_FROM_IMAGES = 8


class ImagePredictor(Generic[ResultT]):
    """Predicts something for each image. A subclass sets `results` and `transform`, and defines `predict_batch`.

    Attributes:
        pixels: How many an input holds, where inputs have sizes of their own; None: all have one size.
        results: What a call returns.
        classes: Names of the model's classes.
        device: Where it computes.
        transform: From an RGB image to the model's input.
        pixel_range: Black and white of images with more than 8 bits, as `image.range` spells them; None: all of them.
    """

    pixel_range: str | None = None
    pixels: Callable[..., int] | None = None
    results: ClassVar[type[Results[Any]]]
    classes: tuple[str, ...]
    device: torch.device
    transform: Callable[[Any], Any]

    def __call__(self, images: ImageLike | Iterable[ImageLike], *args: Any, **options: Any) -> Results[ResultT]:
        """A result for each image, in their order. The arguments are those of the subclass."""
        raise NotImplementedError

    def predict_batch(self, images: Sequence[Read], *_: Any, **options: Any) -> list[ResultT]:
        """A result for each image.

        Args:
            images: A batch: index, source and model input of each image.
            **options: Options of the task, which `stream` got.
        """
        raise NotImplementedError

    def stream(
        self,
        images: ImageLike | Iterable[ImageLike],
        *,
        batch: int = 1,
        workers: int = 0,
        workers_from: int = _WORKERS_FROM_IMAGES,
        on_error: OnError = "stop",
        progress: bool = False,
        **options: Any,
    ) -> Iterator[ResultT | Skipped]:
        """Predict image by image, so that only a batch is held in memory.

        Args:
            images: One or many, mixed: paths of images or folders (searched with their sub-folders), PIL images,
                arrays (uint8 [H, W, 3], uint8 or uint16 [H, W]), tensors ([3, H, W], uint8 or values from 0 to 1).
            batch: Images in one batch; fewer where they are large.
            workers: Processes that load images, where there are many; 0 loads in this one.
            workers_from: With no more images than this they are loaded in this process.
            on_error: What to do about images that cannot be read: stop and name them, or skip them and list them in
                the result.
            progress: Show a bar, if this is a terminal.
            **options: Options of the task, for `predict_batch`.

        Yields:
            A result for each image, in their order; `Skipped` for those that cannot be read.

        Raises:
            InputError: Something given is not an image (in any case), or an image cannot be read.
        """
        inputs = read_inputs(
            images,
            self.transform,
            how=self._how,
            batch=batch,
            pixels=self.pixels,
            workers=workers,
            workers_from=workers_from,
            on_error=on_error,
            progress=progress,
        )
        with closing(inputs):
            for samples in inputs:
                readable = [sample for sample in samples if not isinstance(sample[2], Skipped)]
                predicted = iter(self.predict_batch(readable, **options) if readable else ())
                for _, _, pixels in samples:
                    yield pixels if isinstance(pixels, Skipped) else next(predicted)

    def collect(self, images: ImageLike | Iterable[ImageLike], **arguments: Any) -> Any:
        """All results of `stream`, as `self.results`."""
        streamed = list(self.stream(images, **arguments))
        results = tuple(cast(Result, item) for item in streamed if not isinstance(item, Skipped))
        return self.results(results, tuple(item for item in streamed if isinstance(item, Skipped)))

    @property
    def _how(self) -> Reading:
        if self.pixel_range is None:
            return current_reading()
        return replace(current_reading(), range=PixelRange.parse(self.pixel_range) or FULL)

    def prepare_image(self, image: ImageLike, **options: Any) -> Callable[[], ResultT]:
        """Reads one image, and gives back what predicts it: to measure that alone, and as often as one likes.

        Raises:
            InputError: It cannot be read.
        """
        source = replace(only_source(image), how=self._how)
        pixels = self.transform(source.read())
        return lambda: self.predict_batch([(0, source, pixels)], **options)[0]
