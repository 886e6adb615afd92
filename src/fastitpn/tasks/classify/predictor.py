"""From a checkpoint to predictions."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from typing import Literal, Self

import torch
from torch import Tensor, nn

from fastitpn.data.images.transforms import classify_eval
from fastitpn.errors import InputError
from fastitpn.inference.auto_batch import FittingBatch
from fastitpn.inference.inputs import check_on_error, read_inputs
from fastitpn.inference.results import Classification, Predictions, Skipped
from fastitpn.inference.sources import ImageLike, Source, only_source
from fastitpn.runs.acceleration import AccelerationLike
from fastitpn.runs.trained_model import TrainedClassifier, load_classifier, open_checkpoint
from fastitpn.tasks.detect.predictor import DetectPredictor
from fastitpn.tasks.detect.trained import load_detector
from fastitpn.tasks.segment.predictor import SegmentPredictor
from fastitpn.tasks.segment.trained import load_segmenter
from fastitpn.training.processes.devices import build_fabric

_WORKERS_FROM_BATCHES = 2


class Predictor:
    """Names the classes of images. `fastitpn.load` makes one from a checkpoint.

    Args:
        model: A classifier, [B, 3, px, px] to logits [B, classes]; it is moved to the device and set to evaluation.
        classes: Names of its classes.
        px: Side of its input.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto`, `32-true`, `bf16-mixed` or `16-mixed`.

    Attributes:
        classes: As given.
        px: As given.
        device: Where it computes.
    """

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
        self._transform = classify_eval(px, mean=mean, std=std)
        self._model = fabric.setup_module(model.eval())
        self._fitting = FittingBatch("images", "a smaller px, acceleration=fast, or device=cpu")

    @classmethod
    def of(cls, classifier: TrainedClassifier, *, device: str = "auto", precision: str = "auto") -> Self:
        """The one for a classifier of `load_classifier`."""
        return cls(
            classifier.model,
            classes=classifier.classes,
            px=classifier.px,
            mean=classifier.mean,
            std=classifier.std,
            device=device,
            precision=precision,
        )

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
        _check_arguments(top_k, batch, on_error)
        inputs = read_inputs(
            images,
            self._transform,
            batch=batch,
            workers=workers,
            workers_from=_WORKERS_FROM_BATCHES * batch,
            on_error=on_error,
            progress=progress,
        )
        results: list[Classification] = []
        skipped: list[Skipped] = []
        with closing(inputs):
            for samples in inputs:
                skipped += [pixels for _, _, pixels in samples if isinstance(pixels, Skipped)]
                readable = [sample for sample in samples if not isinstance(sample[2], Skipped)]
                if readable:
                    ranked = self._rank_fitting(torch.stack([pixels for _, _, pixels in readable]), top_k)
                    results += [
                        self._result(source, index, *row)
                        for (index, source, _), row in zip(readable, ranked, strict=True)
                    ]
        return Predictions(tuple(results), tuple(skipped))

    def prepare(self, image: ImageLike, top_k: int = 5) -> Callable[[], Classification]:
        """Reads one image, and gives back what predicts it: to measure that alone, and as often as one likes.

        Raises:
            InputError: It cannot be read.
        """
        source = only_source(image)
        pixels = self._transform(source.read()).unsqueeze(0)
        return lambda: self._result(source, 0, *self._rank(pixels, top_k)[0])

    def _rank_fitting(self, pixels: Tensor, top_k: int) -> list[tuple[list[float], list[int]]]:
        """`_rank`, in parts that fit into memory."""
        return self._fitting(
            lambda size: [row for part in pixels.split(size) for row in self._rank(part, top_k)], len(pixels)
        )

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
            source=source,
        )

    def __repr__(self) -> str:
        return f"Predictor({len(self.classes)} classes, {self.px} px, on {self.device})"


def load(
    checkpoint: str | os.PathLike[str],
    acceleration: AccelerationLike | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
) -> Predictor | SegmentPredictor | DetectPredictor:
    """Make a predictor from a checkpoint of `fastitpn finetune`; nothing else is needed.

    Args:
        checkpoint: A .ckpt file, or a run directory (its best checkpoint).
        acceleration: "off", "balanced", "fast" or an `Acceleration`; None for the one it was trained with. A line is
            printed if it is another.
        device: `auto` (the GPU if there is one), `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto` (bf16-mixed on a GPU that has it, else 32-true), `32-true`, `bf16-mixed` or `16-mixed`.

    Returns:
        What names the classes of images, gives each of their pixels one, or finds things in them, as the checkpoint
        says.

    Raises:
        InputError: It cannot be read, wants to run code, or is no model with its classes; or there is no such
            acceleration, or it does not fit the model.
    """
    content = open_checkpoint(checkpoint)
    if content.task == "segment":
        return SegmentPredictor.of(load_segmenter(content, acceleration), device=device, precision=precision)
    if content.task == "detect":
        return DetectPredictor.of(load_detector(content, acceleration), device=device, precision=precision)
    return Predictor.of(load_classifier(content, acceleration), device=device, precision=precision)


def _check_arguments(top_k: int, batch: int, on_error: str) -> None:
    for name, value in (("top_k", top_k), ("batch", batch)):
        if value < 1:
            raise InputError(f"{name} is {value}", expected="1 or more")
    check_on_error(on_error)
