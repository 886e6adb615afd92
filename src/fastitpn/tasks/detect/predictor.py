"""From a detector to the objects in images."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.data.detection.transforms import DetectEval
from fastitpn.errors import InputError
from fastitpn.inference.predictor import ImagePredictor, Read
from fastitpn.inference.results import Skipped
from fastitpn.inference.sources import ImageLike
from fastitpn.tasks.detect.config import MIN_SCORE
from fastitpn.tasks.detect.heads.base import Detector, Size
from fastitpn.tasks.detect.results import DetectedInstance, Detections, ImageDetections
from fastitpn.tasks.detect.scores import encode_masks
from fastitpn.tasks.detect.views import DetectViews
from fastitpn.training.processes.devices import build_fabric


class SizedImage(NamedTuple):
    """What a detector gets of an image, and the image's own size."""

    pixels: Tensor
    size: Size

    def num_pixels(self) -> int:
        """Pixels of what it gets."""
        return self.pixels[0].numel()


class DetectPredictor(ImagePredictor[ImageDetections]):
    """Finds objects in images. `fastitpn.load` makes one from a checkpoint.

    Args:
        model: The detector; it is moved to the device and set to evaluation.
        classes: Names of its classes, and their ids in the annotations of its training.
        px: Shorter side at which it looks at images.
        max_px: Longest side at most.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto`, `32-true`, `bf16-mixed` or `16-mixed`.

    Attributes:
        classes: Names of the classes, in the order of their labels.
        category_ids: Their ids in the annotations of the training.
        px: Shorter side in pixels at which it looks at images.
        max_px: Longest side in pixels at most.
        device: Where it computes.
        views: Tiles, scales and mirror images in which it looks at images; None looks at each once.
    """

    results = Detections
    pixels = staticmethod(lambda image: image.num_pixels())

    def __init__(
        self,
        model: Detector,
        *,
        classes: DetectionClasses,
        px: int,
        max_px: int,
        mean: Sequence[float],
        std: Sequence[float],
        device: str = "auto",
        precision: str = "auto",
    ):
        self._fabric = build_fabric(device, precision=precision)
        self.classes = classes.names
        self.category_ids = classes.ids
        self.px, self.max_px = px, max_px
        self.device = self._fabric.device
        self.transform: Callable[[Any], Any]
        self.transform = self._once = _Sized(DetectEval(mean=mean, std=std, px=px, max_px=max_px))
        self._model = model.to(self.device).eval()
        self.views: DetectViews | None = None

    def look_through(self, views: DetectViews | None) -> None:
        """Looks at images more than once from now on, or with None once each."""
        self.views = views
        self.transform = self._once if views is None else views

    def __call__(
        self,
        images: ImageLike | Iterable[ImageLike],
        min_score: float = MIN_SCORE,
        *,
        batch: int = 8,
        workers: int = 0,
        on_error: Literal["stop", "skip"] = "stop",
        progress: bool = False,
    ) -> Detections:
        """Predict.

        Args:
            images: One or many, mixed: paths of images or folders (searched with their sub-folders), PIL images,
                arrays (uint8 [H, W, 3], uint8 or uint16 [H, W]), tensors ([3, H, W], uint8 or values from 0 to 1).
            min_score: Least score of an object, in [0, 1].
            batch: Images that are read together; those of one size are looked at together.
            workers: Processes that load images, where there are many; 0 loads in this one.
            on_error: What to do about images that cannot be read: stop and name them, or skip them and list them in
                the result.
            progress: Show a bar, if this is a terminal.

        Returns:
            One result for each image, in their order.

        Raises:
            InputError: Something given is not an image (in any case), or an image cannot be read.
        """
        detections: Detections = self.collect(
            images, min_score=min_score, batch=batch, workers=workers, on_error=on_error, progress=progress
        )
        return detections

    def stream(
        self, images: ImageLike | Iterable[ImageLike], min_score: float = MIN_SCORE, **arguments: Any
    ) -> Iterator[ImageDetections | Skipped]:
        """Predict image by image, as they are found. The arguments are those of a call.

        Raises:
            InputError: Something given is not an image, an image cannot be read, or `min_score` is out of range.
        """
        if not 0 <= min_score <= 1:
            raise InputError(f"min_score is {min_score}", expected="0 to 1")
        return super().stream(images, min_score=min_score, **arguments)

    def prepare(self, image: ImageLike, min_score: float = MIN_SCORE) -> Callable[[], ImageDetections]:
        """Reads one image, and gives back what predicts it: to measure that alone, and as often as one likes.

        Raises:
            InputError: It cannot be read.
        """
        return self.prepare_image(image, min_score=min_score)

    @torch.inference_mode()
    def predict_batch(self, images: Sequence[Read], *, min_score: float = MIN_SCORE) -> list[ImageDetections]:
        """The objects in each image; images of one size are looked at together."""
        if self.views is not None:
            with self._fabric.autocast():
                return [
                    self._result(
                        read, self.views.detect(self._model.detect_each, read[2].to(self.device), min_score=min_score)
                    )
                    for read in images
                ]
        pixels = [image.pixels.to(self.device) for _, _, image in images]
        sizes = [image.size for _, _, image in images]
        with self._fabric.autocast():
            detections = self._model.detect_each(pixels, sizes, min_score=min_score)
            return [self._result(*pair) for pair in zip(images, detections, strict=True)]

    def _result(self, read: Read, detections: Mapping[str, Tensor]) -> ImageDetections:
        index, source, image = read
        height, width = image.size
        labels, scores = detections["labels"].tolist(), detections["scores"].tolist()
        boxes = detections["boxes"].cpu().tolist()
        masks = encode_masks(detections["masks"]) if "masks" in detections else [None] * len(labels)
        instances = (
            DetectedInstance(name=self.classes[label], label=label, score=score, box=tuple(box), rle=mask)
            for label, score, box, mask in zip(labels, scores, boxes, masks, strict=True)
        )
        return ImageDetections(
            index=index,
            path=source.path,
            size=(width, height),
            instances=tuple(instances),
            classes=self.classes,
            source=source,
        )

    def __repr__(self) -> str:
        return f"DetectPredictor({len(self.classes)} classes, {self.px} px, on {self.device})"


@dataclass(frozen=True)
class _Sized:
    """A view that keeps the size of the image; a class, since workers get a copy of it."""

    view: DetectEval

    def __call__(self, image: Image.Image) -> SizedImage:
        return SizedImage(self.view(image), (image.height, image.width))
