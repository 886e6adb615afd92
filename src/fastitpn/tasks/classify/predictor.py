"""From a classifier to the classes of images."""

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from fastitpn.data.images.transforms import classify_eval
from fastitpn.errors import InputError
from fastitpn.inference.auto_batch import AutoBatch
from fastitpn.inference.predictor import ImagePredictor, Read
from fastitpn.inference.sources import ImageLike, Source
from fastitpn.tasks.classify.results import Classification, Predictions
from fastitpn.training.processes.devices import build_fabric

_WORKERS_FROM_BATCHES = 2


class Predictor(ImagePredictor[Classification]):
    """Names the classes of images. `fastitpn.load` makes one from a checkpoint.

    Args:
        model: A classifier, [B, 3, px, px] to logits [B, classes]; it is moved to the device and set to evaluation.
        classes: Names of its classes.
        px: Side of its input in pixels.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto`, `32-true`, `bf16-mixed` or `16-mixed`.

    Attributes:
        classes: Names of its classes.
        px: Side of its input in pixels.
        device: Where it computes.
    """

    results = Predictions

    def __init__(
        self,
        model: nn.Module,
        *,
        classes: Sequence[str],
        px: int,
        mean: Sequence[float],
        std: Sequence[float],
        device: str = "auto",
        precision: str = "auto",
    ):
        fabric = build_fabric(device, precision=precision)
        self.classes = tuple(classes)
        self.px = px
        self.device = fabric.device
        self.transform = classify_eval(px, mean=mean, std=std)
        self._model = fabric.setup_module(model.eval())
        self._auto_batch = AutoBatch("images", "a smaller px, acceleration=fast, or device=cpu")

    def __call__(
        self,
        images: ImageLike | Iterable[ImageLike],
        top_k: int = 5,
        *,
        batch: int = 32,
        workers: int = 0,
        on_error: Literal["stop", "skip"] = "stop",
        progress: bool = False,
    ) -> Predictions:
        """Predict.

        Args:
            images: One or many, mixed: paths of images or folders (searched with their sub-folders), PIL images,
                arrays (uint8 [H, W, 3], uint8 or uint16 [H, W]), tensors ([3, H, W], uint8 or values from 0 to 1).
            top_k: Classes to name for each image.
            batch: Images in one batch; halved, with a line that says so, where memory runs out.
            workers: Processes that load images, where there are many; 0 loads in this one.
            on_error: What to do about images that cannot be read: stop and name them, or skip them and list them in
                the result.
            progress: Show a bar, if this is a terminal.

        Returns:
            One result for each image, in their order.

        Raises:
            InputError: Something given is not an image (in any case), or an image cannot be read.
        """
        for name, value in (("top_k", top_k), ("batch", batch)):
            if value < 1:
                raise InputError(f"{name} is {value}", expected="1 or more")
        predictions: Predictions = self.collect(
            images,
            batch=batch,
            workers=workers,
            workers_from=_WORKERS_FROM_BATCHES * batch,
            on_error=on_error,
            progress=progress,
            top_k=top_k,
        )
        return predictions

    def prepare(self, image: ImageLike, top_k: int = 5) -> Callable[[], Classification]:
        """Reads one image, and gives back what predicts it: to measure that alone, and as often as one likes.

        Raises:
            InputError: It cannot be read.
        """
        return self.prepare_image(image, top_k=top_k)

    def predict_batch(self, images: Sequence[Read], *, top_k: int = 5) -> list[Classification]:
        """The classes of a batch, in parts that fit into memory."""
        pixels = torch.stack([pixels for _, _, pixels in images])
        ranked = self._auto_batch(
            lambda size: [row for part in pixels.split(size) for row in self._rank(part, top_k)], len(pixels)
        )
        return [self._result(source, index, *row) for (index, source, _), row in zip(images, ranked, strict=True)]

    @torch.inference_mode()
    def _rank(self, pixels: Tensor, top_k: int) -> list[tuple[list[float], list[int]]]:
        """Scores and classes of the likeliest, per image."""
        logits = self._model(pixels.to(self.device))
        scores, classes = logits.float().softmax(1).topk(min(top_k, len(self.classes)), dim=1)
        return list(zip(scores.tolist(), classes.tolist(), strict=True))

    def _result(self, source: Source, index: int, scores: list[float], classes: list[int]) -> Classification:
        return Classification(
            index=index,
            path=source.path,
            labels=tuple(self.classes[place] for place in classes),
            scores=tuple(scores),
            classes=self.classes,
            source=source,
        )

    def __repr__(self) -> str:
        return f"Predictor({len(self.classes)} classes, {self.px} px, on {self.device})"
