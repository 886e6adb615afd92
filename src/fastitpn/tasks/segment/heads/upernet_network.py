"""UPerNet (Xiao et al., 2018) by transformers on our pyramid."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
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
        super().__init__(auxiliary_weight)
        settings: dict[str, Any] = {"hidden_size": width, "pool_scales": list(_POOL_SIDES), "num_labels": num_classes}
        config = UperNetConfig(auxiliary_channels=auxiliary_width, **settings)
        used = list(channels[:_LEVELS])
        self.decode = Decode(config, used)
        self.auxiliary = UperNetFCNHead(config, used, in_index=_AUXILIARY_LEVEL) if auxiliary_weight > 0 else None
        start_classifiers(head.classifier for head in (self.decode, self.auxiliary) if head is not None)

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """Logits, in training also those of the auxiliary head."""
        used = list(maps[:_LEVELS])
        outputs = {"logits": self.decode(used)}
        if self.training and self.auxiliary is not None:
            outputs["auxiliary"] = self.auxiliary(used)
        return outputs
