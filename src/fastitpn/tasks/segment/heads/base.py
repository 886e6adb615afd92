"""Heads that make a map of classes from the levels of the pyramid."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from fastitpn.data.segmentation.classes import IGNORE

Outputs = dict[str, Any]
"""What a head gives for its losses and its scores."""

_LINEAR_LEVELS = 3
_UPERNET_LEVELS = 4
_POOL_SIDES = (1, 2, 3, 6)
_AUXILIARY_LEVEL = 2
_CLASSIFIER_STD = 0.01


class SegmentationHead(nn.Module):
    """From feature maps to classes.

    Attributes:
        class_layers: Names, inside the head, of what depends on the classes: it starts fresh for other ones.
    """

    class_layers: tuple[str, ...] = ("classifier.",)

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """Maps [B, C, H / s, W / s] for the strides s = 4, 8, 16, 32, 64 to what the other methods take."""
        raise NotImplementedError

    def losses(self, outputs: Outputs, masks: Tensor) -> dict[str, Tensor]:
        """Scalars, of which "loss" is minimised.

        Args:
            outputs: Of `forward`.
            masks: uint8 [B, H, W], `IGNORE` where there is nothing to learn; for mask2former also codes of segments.
        """
        raise NotImplementedError

    def log_probabilities(self, outputs: Outputs) -> Tensor:
        """float32 [B, classes, H / 4, W / 4], from what `forward` gives."""
        raise NotImplementedError


class LogitsHead(SegmentationHead):
    """A head whose outputs are logits [B, classes, H / 4, W / 4], perhaps with "auxiliary" ones at another stride.

    Args:
        auxiliary_weight: Of the auxiliary loss.
    """

    def __init__(self, auxiliary_weight: float = 0.0):
        super().__init__()
        self.auxiliary_weight = auxiliary_weight

    def losses(self, outputs: Outputs, masks: Tensor) -> dict[str, Tensor]:
        """Cross entropy at the size of the masks, mean over the pixels that are not left out."""
        loss = pixel_cross_entropy(outputs["logits"], masks)
        if "auxiliary" not in outputs:
            return {"loss": loss}
        auxiliary = pixel_cross_entropy(outputs["auxiliary"], masks)
        return {"loss": loss + self.auxiliary_weight * auxiliary, "main_loss": loss, "auxiliary_loss": auxiliary}

    def log_probabilities(self, outputs: Outputs) -> Tensor:
        """Logarithm of the softmax. Where it is resized, the highest class is that of the resized logits."""
        return outputs["logits"].float().log_softmax(1)


def pixel_cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross entropy of resized logits; 0, and not nan, if all pixels are left out.

    Args:
        logits: [B, classes, h, w].
        masks: uint8 [B, H, W].
    """
    labels = masks.long()
    logits = F.interpolate(logits.float(), size=labels.shape[-2:], mode="bilinear")
    total = F.cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
    return total / (labels != IGNORE).sum().clamp(min=1)


class LinearHead(LogitsHead):
    """The lightest head: each level is normalised and projected to the classes where it is, and they are summed.

        logits = sum over strides 4, 8, 16 of upsample(W_s norm_s(p_s))

    That is one linear layer over all three levels at 1/4, at a fraction of its cost.

    Args:
        channels: Of each level, as many as there are.
        num_classes: Classes.
    """

    class_layers = ("classifiers.",)

    def __init__(self, channels: Sequence[int], num_classes: int):
        super().__init__()
        used = channels[:_LINEAR_LEVELS]
        self.norms = nn.ModuleList(LayerNorm2d(dim) for dim in used)
        self.classifiers = nn.ModuleList(nn.Conv2d(dim, num_classes, 1, bias=i == 0) for i, dim in enumerate(used))
        _start_classifiers(self.classifiers)

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """Logits."""
        logits = [
            classify(norm(level)) for level, norm, classify in zip(maps, self.norms, self.classifiers, strict=False)
        ]
        size = logits[0].shape[-2:]
        coarse = (F.interpolate(level, size=size, mode="bilinear") for level in logits[1:])
        return {"logits": torch.stack([logits[0], *coarse]).sum(0)}


class UPerNetHead(LogitsHead):
    """UPerNet (Xiao et al., 2018) by transformers: pyramid pooling, top-down fusion, an auxiliary head in training.

    Args:
        channels: Of each level; the first four are used.
        num_classes: Classes.
        width: Channels inside; the published runs have 768.
        auxiliary_width: Channels of the auxiliary head on stride 16, which only training has; published 256.
        auxiliary_weight: Of its loss.
    """

    class_layers = ("decode.classifier.", "auxiliary.classifier.")

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        *,
        width: int = 512,
        auxiliary_width: int = 256,
        auxiliary_weight: float = 0.4,
    ):
        from transformers import UperNetConfig  # takes seconds, and the other heads need none of it
        from transformers.models.upernet.modeling_upernet import UperNetFCNHead
        from transformers.models.upernet.modeling_upernet import UperNetHead as Decode

        super().__init__(auxiliary_weight)
        settings: dict[str, Any] = {"hidden_size": width, "pool_scales": list(_POOL_SIDES), "num_labels": num_classes}
        config = UperNetConfig(auxiliary_channels=auxiliary_width, **settings)
        used = list(channels[:_UPERNET_LEVELS])
        self.decode = Decode(config, used)
        self.auxiliary = UperNetFCNHead(config, used, in_index=_AUXILIARY_LEVEL) if auxiliary_weight > 0 else None
        _start_classifiers(head.classifier for head in (self.decode, self.auxiliary) if head is not None)

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """Logits, in training also those of the auxiliary head."""
        used = list(maps[:_UPERNET_LEVELS])
        outputs = {"logits": self.decode(used)}
        if self.training and self.auxiliary is not None:
            outputs["auxiliary"] = self.auxiliary(used)
        return outputs


def _start_classifiers(layers: Any) -> None:
    for layer in layers:
        nn.init.normal_(layer.weight, std=_CLASSIFIER_STD)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _create_mask2former(*args: Any, **arguments: Any) -> SegmentationHead:
    from fastitpn.tasks.segment.heads.mask2former import Mask2FormerHead  # with transformers, which takes seconds

    return Mask2FormerHead(*args, **arguments)


HEADS: dict[str, Callable[..., SegmentationHead]] = {
    "linear": LinearHead,
    "upernet": UPerNetHead,
    "mask2former": _create_mask2former,
}
"""By the name that `head=` takes."""
