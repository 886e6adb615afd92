"""An exported detector, as predictions and evaluations call one."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torchvision.ops import clip_boxes_to_image

from fastitpn.exporting.exported import ExportedGraph
from fastitpn.tasks.detect.heads.base import Detections, Size, pad_images, paste_masks


class ExportedDetector(nn.Module):
    """What a `Detector` is asked for, by a graph.

    Images are padded to multiples of 16 px, as a `Detector` does; boxes are shares of that canvas.

    Args:
        graph: With the outputs of `DetectNetwork`.

    Attributes:
        queries: None: a graph does not say how many it has.
    """

    queries: int | None = None

    def __init__(self, graph: ExportedGraph):
        super().__init__()
        self.graph = graph
        self.has_masks = "masks" in graph.outputs

    @torch.no_grad()
    def detect_each(
        self, images: Sequence[Tensor], sizes: Sequence[Size], *, min_score: float = 0.0
    ) -> Iterator[Detections]:
        """What is in each of a batch of images; the arguments are those of `Detector.detect_each`."""
        for image, (height, width) in zip(images, sizes, strict=True):
            yield self._detect(image, (int(height), int(width)), min_score)

    def _detect(self, image: Tensor, wanted: Size, min_score: float) -> Detections:
        canvas, [size] = pad_images([image])
        if self.graph.size not in (None, tuple(canvas.shape[-2:])):
            canvas = self.graph.takes(image[None])
            size = (canvas.shape[-2], canvas.shape[-1])
        shares, scores, labels, *masks = (output[0] for output in self.graph(canvas))
        kept = scores >= min_score
        height, width = (canvas.shape[axis] * wanted[axis] / size[axis] for axis in (-2, -1))
        boxes = shares[kept].float() * shares.new_tensor([width, height, width, height])
        detections = {"boxes": clip_boxes_to_image(boxes, wanted), "scores": scores[kept], "labels": labels[kept]}
        if masks:
            detections["masks"] = paste_masks(masks[0][kept].float(), boxes, wanted)
        return detections
