"""What all segmentation heads share: a map of classes from the levels of the pyramid."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.data.segmentation.classes import IGNORE

Outputs = dict[str, Any]
"""What a head gives for its losses and its scores."""

_CLASSIFIER_STD = 0.01


class SegmentationHead(nn.Module):
    """From feature maps to classes.

    Attributes:
        queries: Objects that it finds in an image at most; None for no limit.
        class_layers: Names, inside the head, of what depends on the classes: it starts fresh for other ones.
        input_layers: Likewise, of what depends on the backbone's maps.
    """

    class_layers: tuple[str, ...] = ("classifier.",)
    input_layers: tuple[str, ...] = ()
    queries: int | None = None

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """Maps [B, C, H / s, W / s] for the strides s = 4, 8, 16, 32, 64 to what the other methods take."""
        raise NotImplementedError

    def published_names(self) -> dict[str, tuple[str, ...]]:
        """Parameters by the names that a published file has for each, which `load_weights` takes; none for no such."""
        return {}

    def losses(self, outputs: Outputs, masks: Tensor) -> dict[str, Tensor]:
        """Scalars, of which "loss" is minimised.

        Args:
            outputs: What `forward` gave.
            masks: uint8 [B, H, W], `IGNORE` where there is nothing to learn; for mask2former also codes of segments.
        """
        raise NotImplementedError

    def log_probabilities(self, outputs: Outputs) -> Tensor:
        """float32 [B, classes, H / 4, W / 4], from what `forward` gives."""
        raise NotImplementedError


class LogitsHead(SegmentationHead):
    """A head whose outputs are logits [B, classes, H / 4, W / 4], perhaps with "auxiliary" ones at another stride.

    Args:
        auxiliary_weight: Weight of the auxiliary loss.
    """

    def __init__(self, auxiliary_weight: float = 0.0):
        super().__init__()
        self.auxiliary_weight = auxiliary_weight

    def losses(self, outputs: Outputs, masks: Tensor, class_weights: Tensor | None = None) -> dict[str, Tensor]:
        """Cross entropy at the size of the masks, mean over the pixels that are not left out.

        Args:
            outputs: What `forward` gave.
            masks: uint8 [B, H, W].
            class_weights: [classes]; None for no weights.
        """
        loss = pixel_cross_entropy(outputs["logits"], masks, class_weights)
        if "auxiliary" not in outputs:
            return {"loss": loss}
        auxiliary = pixel_cross_entropy(outputs["auxiliary"], masks, class_weights)
        return {"loss": loss + self.auxiliary_weight * auxiliary, "main_loss": loss, "auxiliary_loss": auxiliary}

    def log_probabilities(self, outputs: Outputs) -> Tensor:
        """Logarithm of the softmax. Where it is resized, the highest class is that of the resized logits."""
        return outputs["logits"].float().log_softmax(1)


def pixel_cross_entropy(logits: Tensor, masks: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Cross entropy of resized logits; 0, and not nan, if all pixels are left out.

    Args:
        logits: [B, classes, h, w].
        masks: uint8 [B, H, W].
        class_weights: [classes], of each pixel by its class; None for no weights.
    """
    labels = masks.long()
    logits = F.interpolate(logits.float(), size=labels.shape[-2:], mode="bilinear")
    total = F.cross_entropy(logits, labels, class_weights, ignore_index=IGNORE, reduction="sum")
    counted = labels != IGNORE
    if class_weights is None:
        return total / counted.sum().clamp(min=1)
    weights = class_weights[labels[counted]].sum()
    return total / torch.where(weights > 0, weights, 1.0)


def start_classifiers(layers: Iterable[Any]) -> None:
    """Small random weights and no bias for layers that give logits: no class is likelier than another."""
    for layer in layers:
        nn.init.normal_(layer.weight, std=_CLASSIFIER_STD)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
