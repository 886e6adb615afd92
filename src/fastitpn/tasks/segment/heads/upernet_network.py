"""UPerNet (Xiao et al., 2018) by transformers on our pyramid."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from transformers import UperNetConfig
from transformers.models.upernet.modeling_upernet import UperNetFCNHead
from transformers.models.upernet.modeling_upernet import UperNetHead as Decode

from fastitpn.tasks.segment.heads.base import LogitsHead, Outputs, start_classifiers

_LEVELS = 4
_POOL_SIDES = (1, 2, 3, 6)
_AUXILIARY_LEVEL = 2


class UPerNetHead(LogitsHead):
    """UPerNet (Xiao et al., 2018) by transformers: pyramid pooling, top-down fusion, an auxiliary head in training.

    Args:
        channels: Channels of each level; the first four are used.
        num_classes: Number of classes.
        width: Channels inside; the published runs have 768.
        auxiliary_width: Channels of the auxiliary head on stride 16, which only training has; published 256.
        auxiliary_weight: Weight of the auxiliary head's loss.
        dropout: Share of channels left out before each classifier in training; published: 0.1.
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
        dropout: float = 0.0,
    ):
        super().__init__(auxiliary_weight)
        settings: dict[str, Any] = {"hidden_size": width, "pool_scales": list(_POOL_SIDES), "num_labels": num_classes}
        config = UperNetConfig(auxiliary_channels=auxiliary_width, **settings)
        used = list(channels[:_LEVELS])
        self.decode = Decode(config, used)
        self.auxiliary = UperNetFCNHead(config, used, in_index=_AUXILIARY_LEVEL) if auxiliary_weight > 0 else None
        heads = [head for head in (self.decode, self.auxiliary) if head is not None]
        for head in heads:
            head.classifier = DroppedClassifier(head.classifier, dropout)
        start_classifiers(head.classifier for head in heads)

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """Logits, in training also those of the auxiliary head."""
        used = list(maps[:_LEVELS])
        outputs = {"logits": self.decode(used)}
        if self.training and self.auxiliary is not None:
            outputs["auxiliary"] = self.auxiliary(used)
        return outputs


class DroppedClassifier(nn.Conv2d):
    """A 1x1 convolution before which whole channels are left out in training, under the names of the bare one.

    Args:
        classifier: The bare one.
        dropout: Share of channels.
    """

    def __init__(self, classifier: nn.Conv2d, dropout: float) -> None:
        super().__init__(classifier.in_channels, classifier.out_channels, kernel_size=1, device="meta")
        self.weight, self.bias, self.dropout = classifier.weight, classifier.bias, dropout

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] to logits [B, classes, h, w]."""
        if self.training and self.dropout > 0:
            x = F.dropout2d(x, self.dropout)
        return super().forward(x)
