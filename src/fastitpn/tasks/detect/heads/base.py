"""What all detectors share: images of any size in, their losses or their boxes out."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.data.chunks import equal_sizes
from fastitpn.inference.auto_batch import AutoBatch
from fastitpn.models.backbone import FastITPN
from fastitpn.models.layers.cells import PATCH

Size = tuple[int, int]
"""Height and width."""
Detections = dict[str, Tensor]
"""Detections of one image, best first: boxes float32 [n, 4] (left, top, right, bottom), scores float32 [n], labels
int64 [n] from 0, and from a detector with masks: masks bool [n, H, W]."""
Target = Mapping[str, Tensor]
"""Annotations of one image: boxes [n, 4] in its own pixels, labels int64 [n] from 0, and for masks: masks [n, h, w].
Perhaps also ignored [k, 4]: where something is that is no target, such as a crowd, but no background either."""

_AT_ONCE_ON_CPU = 2
"""Images that are looked at together on a CPU: more do not fit into its cache, and are slower."""
_PIXELS_AT_ONCE = 2**22
"""Pixels of images that are looked at together at most: four of 800 x 1333."""
_MASK_PROBABILITY = 0.5
_LEAST_SIDE = 1e-6


class Detector(nn.Module):
    """A backbone with its pyramid, and what finds objects on it; the pyramid is the neck, there is no other.

    Args:
        backbone: With a pyramid, without a classifier.

    Attributes:
        has_masks: Whether it learns and gives masks.
        queries: Objects that it finds in an image at most; None for no limit.
        class_layers: How the names of the layers begin that depend on the classes; they start fresh for other ones.
        input_layers: How the names of the layers begin that depend on the backbone's maps.
    """

    has_masks: bool = False
    queries: int | None = None
    class_layers: tuple[str, ...] = ()
    input_layers: tuple[str, ...] = ()

    def __init__(self, backbone: FastITPN) -> None:
        super().__init__()
        self.backbone = backbone
        self._auto_batch = AutoBatch("images", "a smaller px or max_px, acceleration=fast, or device=cpu")
        self._compiled: Callable[[Tensor], list[Tensor]] | None = None

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """The layers of the backbone; all else has the whole learning rate, as published."""
        return self.backbone.group_matcher(coarse)

    def feature_maps(self, canvas: Tensor) -> list[Tensor]:
        """The levels of the pyramid, strides 4 to 64, of [B, 3, H, W]."""
        if self.training and self._compiled is not None:
            return self._compiled(canvas)
        return self.backbone.pyramid_features(canvas)

    def compile_features(self) -> None:
        """Compiles the backbone in training; in an evaluation nearly every image has a size of its own."""
        self._compiled = torch.compile(self.backbone.pyramid_features)

    def losses(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Losses of a batch, in training mode.

        Args:
            images: [3, h, w] each, normalised, of any sizes; they are padded to the largest.
            targets: One for each image, perhaps without boxes.

        Returns:
            Scalars, of which "loss" is minimised: the sum of the others.
        """
        canvas, sizes = pad_images(images)
        parts = self.canvas_losses(canvas, sizes, targets)
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}

    def detect(
        self, images: Sequence[Tensor], sizes: Sequence[Size] | None = None, *, min_score: float = 0.0
    ) -> list[Detections]:
        """What is in each of a batch of images, in evaluation mode; the arguments are those of `detect_each`."""
        return list(self.detect_each(images, sizes, min_score=min_score))

    @torch.no_grad()
    def detect_each(
        self, images: Sequence[Tensor], sizes: Sequence[Size] | None = None, *, min_score: float = 0.0
    ) -> Iterator[Detections]:
        """What is in each of a batch of images, in evaluation mode, one image after the other: masks are large.

        Images share a batch only with those that are padded to the same size, which is the least that holds them, so
        what is found in an image does not depend on the others. It is halved where memory runs out.

        Args:
            images: [3, h, w] each, normalised, of any sizes.
            sizes: Heights and widths for boxes and masks, such as the original images'; None: the images' own.
            min_score: Leave out what has a lower score.
        """
        wanted = [image.shape[-2:] for image in images] if sizes is None else sizes
        by_place = self._auto_batch(lambda size: self._unsized(images, size, min_score), len(images))
        for place, (height, width) in enumerate(wanted):
            yield self.resized(*by_place.pop(place), (int(height), int(width)))

    def _unsized(self, images: Sequence[Tensor], batch: int, min_score: float) -> dict[int, tuple[Detections, Size]]:
        """Detections in the images' own pixels, with the size of the image, by place."""
        by_place: dict[int, tuple[Detections, Size]] = {}
        batch = min(batch, _AT_ONCE_ON_CPU) if len(images) and images[0].device.type == "cpu" else batch
        padded = [(_multiple(image.shape[-2]), _multiple(image.shape[-1])) for image in images]
        for places in equal_sizes(padded, lambda size: min(batch, _PIXELS_AT_ONCE // (size[0] * size[1]))):
            canvas, inner = pad_images([images[place] for place in places])
            for place, size, detections in zip(places, inner, self.canvas_detections(canvas, inner), strict=True):
                good = detections["scores"] >= min_score
                by_place[place] = {name: tensor[good] for name, tensor in detections.items()}, size
        return by_place

    def canvas_losses(self, canvas: Tensor, sizes: list[Size], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The parts of the loss, which begin with "loss_".

        Args:
            canvas: [B, 3, H, W], the images in its upper left corner, and zeros.
            sizes: Height and width of each image within the canvas.
            targets: What is in each image: boxes, labels and perhaps masks.
        """
        raise NotImplementedError

    def canvas_detections(self, canvas: Tensor, sizes: list[Size]) -> list[Detections]:
        """Detections in the images' own pixels; masks, if any, as probabilities [n, m, m] inside of their boxes.

        Args:
            canvas: [B, 3, H, W], the images in its upper left corner, and zeros.
            sizes: Height and width of each image within the canvas.
        """
        raise NotImplementedError

    def detect_whole(self, canvas: Tensor) -> tuple[Tensor, ...]:
        """What an exported file gives, of images [B, 3, H, W] that fill their canvas, the best detections first.

        Returns:
            Boxes [B, n, 4] as shares of the image, scores [B, n], labels int64 [B, n], and from a detector with masks:
            probabilities [B, n, m, m] inside of the boxes.
        """
        raise NotImplementedError

    def resized(self, detections: Detections, size: Size, wanted: Size) -> Detections:
        """Detections in an image of a size to those in another size of it, with masks bool [n, *wanted]."""
        boxes = detections["boxes"].float()
        scale = torch.tensor([wanted[1] / size[1], wanted[0] / size[0]], device=boxes.device).repeat(2)
        result = {**detections, "boxes": boxes * scale, "scores": detections["scores"].float()}
        if "masks" in detections:
            result["masks"] = paste_masks(detections["masks"].float(), result["boxes"], wanted)
        return result


def pad_images(images: Sequence[Tensor]) -> tuple[Tensor, list[Size]]:
    """Images in one batch, with zeros (the mean colour) below and to the right, up to multiples of 16 px.

    Returns:
        [B, 3, H, W] and the sizes of the images.
    """
    sizes = [(image.shape[-2], image.shape[-1]) for image in images]
    height, width = (_multiple(max(sides)) for sides in zip(*sizes, strict=True))
    padded = [F.pad(image, (0, width - w, 0, height - h)) for image, (h, w) in zip(images, sizes, strict=True)]
    return torch.stack(padded), sizes


def _multiple(side: int) -> int:
    return -(-side // PATCH) * PATCH


def paste_masks(probabilities: Tensor, boxes: Tensor, size: Size) -> Tensor:
    """Masks at the size of the image.

    Args:
        probabilities: float [n, m, m], inside of the boxes.
        boxes: [n, 4] in pixels.
        size: Height and width of the image in pixels.

    Returns:
        bool [n, H, W].
    """
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool, device=boxes.device)
    for mask, probability, box in zip(masks, probabilities, boxes.tolist(), strict=True):
        rows, columns = (_pixels(box[axis], box[axis + 2], size[1 - axis], mask.device) for axis in (1, 0))
        if len(rows[0]) and len(columns[0]):
            places = torch.stack(torch.meshgrid(columns[1], rows[1], indexing="xy"), -1)
            inside = F.grid_sample(probability[None, None], places[None], align_corners=False)[0, 0]
            mask[rows[0][:, None], columns[0]] = inside >= _MASK_PROBABILITY
    return masks


def _pixels(first: float, last: float, side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixels that a box has of an image along one axis, and where in it their centres are: from -1 to 1."""
    pixels = torch.arange(max(0, math.floor(first)), min(side, math.ceil(last)), device=device)
    return pixels, (2 * (pixels + 0.5) - first - last) / max(last - first, _LEAST_SIDE)
