"""Mask2Former (Cheng et al., 2022) by transformers on our pyramid: a set of masks, each with a class.

It segments, and it finds objects: both tasks have a head of it.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Mask2FormerConfig
from transformers.models.mask2former.modeling_mask2former import (
    Mask2FormerLoss,
    Mask2FormerPixelDecoder,
    Mask2FormerPreTrainedModel,
    Mask2FormerTransformerModule,
)

from fastitpn.tasks.heads import HEAD_DIM

_LEVELS = 4

Outputs = dict[str, Any]
"""For each layer: `classes`, logits [B, queries, classes + 1], and `masks`, logits [B, queries, H / 4, W / 4]."""


class MatchedMasks(nn.Module):
    """Pixel decoder with deformable attention, masked-attention decoder, and losses on matched masks.

    Args:
        channels: Channels of each level; the first four are used.
        num_classes: How many classes it tells apart.
        width: Channels inside, a multiple of 32; published: 256.
        queries: Masks at most in one image; published: 100.
        encoder_layers: Layers of the pixel decoder; published: 6.
        decoder_layers: Layers of the transformer; published: 9.
        points: Pixels that the losses look at for each mask; published: 12544.

    Attributes:
        class_layers: How the names of the tensors begin that depend on the classes.
    """

    class_layers: tuple[str, ...] = ("network.class_predictor.", "network.criterion.")

    def __init__(
        self,
        channels: Sequence[int],
        num_classes: int,
        *,
        width: int = 256,
        queries: int = 100,
        encoder_layers: int = 6,
        decoder_layers: int = 9,
        points: int = 12544,
    ):
        super().__init__()
        self.queries: int | None = queries
        settings: dict[str, Any] = {"num_labels": num_classes}
        config = Mask2FormerConfig(
            feature_size=width,
            mask_feature_size=width,
            hidden_dim=width,
            num_attention_heads=max(1, width // HEAD_DIM),
            encoder_feedforward_dim=4 * width,
            dim_feedforward=8 * width,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers + 1,  # transformers counts the prediction before the first one
            num_queries=queries,
            train_num_points=points,
            **settings,
        )
        self.network = _Network(config, list(channels[:_LEVELS]))

    def forward(self, maps: Sequence[Tensor]) -> Outputs:
        """Logits of classes [B, queries, classes + 1] and of masks [B, queries, H / 4, W / 4], for each layer."""
        outputs: Outputs = self.network(list(maps[:_LEVELS]))
        return outputs

    def matched_losses(self, outputs: Outputs, masks: Sequence[Tensor], labels: Sequence[Tensor]) -> dict[str, Tensor]:
        """Cross entropy of the classes, binary cross entropy and dice of the masks, summed over the layers.

        Args:
            outputs: What `forward` gave: classes and masks of each layer.
            masks: True masks of each image, bool or 0 and 1 [n, H, W]; may overlap.
            labels: Class of each true mask, int64 [n].
        """
        predictions = [
            {"class_queries_logits": classes.float(), "masks_queries_logits": drawn.float()}
            for classes, drawn in zip(outputs["classes"], outputs["masks"], strict=True)
        ]
        with torch.autocast(outputs["classes"][0].device.type, enabled=False):
            losses = self.network.criterion(
                **predictions[-1],
                mask_labels=[mask.float() for mask in masks],
                class_labels=list(labels),
                auxiliary_predictions=predictions[:-1],
            )
        return {
            name: weight * torch.stack([loss for key, loss in losses.items() if key.startswith(name)]).sum()
            for name, weight in self.network.criterion.weight_dict.items()
        }


class _Network(Mask2FormerPreTrainedModel):
    """The parts above the backbone, with transformers' start values."""

    def __init__(self, config: Mask2FormerConfig, channels: list[int]):
        super().__init__(config)
        assert config.num_labels is not None
        self.pixel_decoder = Mask2FormerPixelDecoder(config, channels)
        self.transformer = Mask2FormerTransformerModule(config.feature_size, config)
        self.class_predictor = nn.Linear(config.hidden_dim, config.num_labels + 1)
        weights = {
            "loss_cross_entropy": config.class_weight,
            "loss_mask": config.mask_weight,
            "loss_dice": config.dice_weight,
        }
        self.criterion = Mask2FormerLoss(config, weights)
        # Not post_init: for classes outside of transformers it passes over modules without parameters of their own,
        # among them the deformable attention, whose sampling points would all start in one place.
        self.apply(self._init_weights)

    def forward(self, maps: list[Tensor]) -> Outputs:
        pixels = self.pixel_decoder(maps, output_hidden_states=False, return_dict=True)
        decoded = self.transformer(list(pixels.multi_scale_features), pixels.mask_features, output_hidden_states=True)
        states = decoded.intermediate_hidden_states
        return {
            "classes": [self.class_predictor(state.transpose(0, 1)) for state in states],
            "masks": list(decoded.masks_queries_logits),
        }
