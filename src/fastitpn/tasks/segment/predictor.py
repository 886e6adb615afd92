"""From a segmentation network to the class of each pixel, or from a panoptic one to its segment."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.data.segmentation.transforms import SegmentationEval
from fastitpn.inference.predictor import ImagePredictor, Read
from fastitpn.inference.sources import ImageLike
from fastitpn.tasks.segment.model import Segmenter
from fastitpn.tasks.segment.panoptic import find_segments
from fastitpn.tasks.segment.panoptic_results import PanopticSegmentation, class_shares
from fastitpn.tasks.segment.results import ClassShare, Segmentation, Segmentations
from fastitpn.tasks.segment.views import TestTimeViews, auto_batch, label_map, log_probabilities
from fastitpn.training.processes.devices import build_fabric


class SegmentPredictor(ImagePredictor[Segmentation]):
    """Gives each pixel of images a class, a panoptic network a segment. `fastitpn.load` makes one from a checkpoint.

    Args:
        model: The network; it is moved to the device and set to evaluation.
        classes: Names and colours of its classes.
        views: How it looks at images.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto`, `32-true`, `bf16-mixed` or `16-mixed`.

    Attributes:
        classes: Names of the classes, in the order of their labels.
        views: How it looks at images; `dataclasses.replace(predictor.views, flip=True)` makes others to call it with.
        device: Where it computes.
    """

    results = Segmentations
    pixels = staticmethod(lambda image: image[0].numel())

    def __init__(
        self,
        model: Segmenter,
        *,
        classes: SegmentationClasses,
        views: TestTimeViews,
        mean: Sequence[float],
        std: Sequence[float],
        device: str = "auto",
        precision: str = "auto",
    ):
        self._fabric = build_fabric(device, precision=precision)
        self._classes = classes
        self.classes = classes.names
        self.views = views
        self.device = self._fabric.device
        self.transform = SegmentationEval(mean=mean, std=std)
        self._model = model.to(self.device).eval()
        self._auto_batch = auto_batch()

    def __call__(
        self,
        images: ImageLike | Iterable[ImageLike],
        *,
        views: TestTimeViews | None = None,
        batch: int = 8,
        workers: int = 0,
        on_error: Literal["stop", "skip"] = "stop",
        progress: bool = False,
    ) -> Segmentations:
        """Predict. The labels of all images are held in memory; for a long folder use `stream`.

        Args:
            images: One or many, mixed: paths of images or folders (searched with their sub-folders), PIL images,
                arrays (uint8 [H, W, 3], uint8 or uint16 [H, W]), tensors ([3, H, W], uint8 or values from 0 to 1).
            views: How to look at them; None for `self.views`.
            batch: Images that are read together; those of one size are looked at together.
            workers: Processes that load images, where there are many; 0 loads in this one.
            on_error: What to do about images that cannot be read: stop and name them, or skip them and list them in
                the result.
            progress: Show a bar, if this is a terminal.

        Returns:
            One result for each image, in their order; of a panoptic network each is a `PanopticSegmentation`.

        Raises:
            InputError: Something given is not an image (in any case), or an image cannot be read.
        """
        results: Segmentations = self.collect(
            images, views=views, batch=batch, workers=workers, on_error=on_error, progress=progress
        )
        return results

    def prepare(self, image: ImageLike) -> Callable[[], Segmentation]:
        """Reads one image, and gives back what predicts it: to measure that alone, and as often as one likes.

        Raises:
            InputError: It cannot be read.
        """
        return self.prepare_image(image)

    def predict_batch(self, images: Sequence[Read], *, views: TestTimeViews | None = None) -> list[Segmentation]:
        """Classes of pixels, or segments; images of one size are looked at together, and all in memory's bounds."""
        seen = views or self.views
        pixels = [image.to(self.device) for _, _, image in images]
        predict = self._panoptic if self._classes.panoptic else self._semantic
        by_place = self._auto_batch(lambda size: predict(images, pixels, replace(seen, batch=size)), seen.parts(pixels))
        return [by_place[place] for place in range(len(images))]

    @torch.inference_mode()
    def _semantic(
        self, images: Sequence[Read], pixels: Sequence[Tensor], views: TestTimeViews
    ) -> dict[int, Segmentation]:
        results: dict[int, Segmentation] = {}
        with self._fabric.autocast():
            for place, scores in log_probabilities(self._model, pixels, views):
                labels, sure = (part.cpu().numpy() for part in label_map(scores, *pixels[place].shape[-2:]))
                shared = self._shared(images[place])
                results[place] = Segmentation(**shared, found=self._shares(labels, sure), mask=labels)
        return results

    @torch.inference_mode()
    def _panoptic(
        self, images: Sequence[Read], pixels: Sequence[Tensor], views: TestTimeViews
    ) -> dict[int, Segmentation]:
        results: dict[int, Segmentation] = {}
        with self._fabric.autocast():
            for place, codes, segments in find_segments(self._model, pixels, views, self._classes.counted):
                shares = class_shares(segments, self.classes, codes.size)
                shared = self._shared(images[place])
                results[place] = PanopticSegmentation(**shared, found=shares, mask=codes, segments=tuple(segments))
        return results

    def _shared(self, image: Read) -> dict[str, Any]:
        """What a result says of its image."""
        index, source, pixels = image
        size = (pixels.shape[-1], pixels.shape[-2])
        return {"index": index, "path": source.path, "size": size, "classes": self._classes, "source": source}

    def _shares(self, labels: NDArray[np.uint8], sure: NDArray[np.float32]) -> tuple[ClassShare, ...]:
        counts = np.bincount(labels.ravel(), minlength=len(self.classes))
        sums = np.bincount(labels.ravel(), weights=sure.ravel(), minlength=len(self.classes))
        return tuple(
            ClassShare(
                name=self.classes[label],
                label=label,
                share=float(counts[label] / labels.size),
                confidence=float(sums[label] / counts[label]),
            )
            for label in np.argsort(-counts, kind="stable").tolist()
            if counts[label]
        )

    def __repr__(self) -> str:
        return f"SegmentPredictor({len(self.classes)} classes, {self.views.px} px, on {self.device})"
