"""An exported segmentation network, as predictions and evaluations call one."""

import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.exporting.exported import ExportedGraph
from fastitpn.tasks.segment.heads.base import Outputs

_CELL = 4


class ExportedSegmenter(nn.Module):
    """What a `Segmenter` is asked for, by a graph.

    Args:
        graph: With the outputs of `SegmentNetwork` or `PanopticNetwork`.

    Attributes:
        queries: None: a graph does not say how many it has.
    """

    queries: int | None = None

    def __init__(self, graph: ExportedGraph):
        super().__init__()
        self.graph = graph

    def _run(self, images: Tensor) -> list[Tensor]:
        slides = "class_logits" not in self.graph.outputs  # segments are looked at once
        return self.graph(
            self.graph.takes(images, otherwise="inference=slide to look through windows of its size, " * slides)
        )

    def forward(self, images: Tensor) -> Outputs:
        """Of a panoptic network: [B, 3, H, W] to logits of classes and of masks."""
        _, classes, masks = self._run(images)
        return {"classes": [classes], "masks": [masks]}

    def log_probabilities(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] to float32 [B, classes, H / 4, W / 4]."""
        scores = self._run(images)[0]
        height, width = images.shape[-2] // _CELL, images.shape[-1] // _CELL
        if tuple(scores.shape[-2:]) == (height, width):
            return scores
        return F.interpolate(scores, size=(height, width), mode="bilinear")  # it was stretched
