"""The network: Fast-iTPN with its pyramid, and a head on it."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.models.backbone import FastITPN
from fastitpn.models.layers.cells import PATCH, cells_to_map
from fastitpn.models.registry import create_model
from fastitpn.tasks.segment.heads.base import Outputs, SegmentationHead
from fastitpn.tasks.segment.heads.registry import HEADS

FEATURES = ("pyramid", "pyramid_and_trunk")


class Segmenter(nn.Module):
    """A backbone with its pyramid, and a head on it; nothing in between: the pyramid is the neck.

    Args:
        backbone: With a pyramid, without a classifier.
        head: For maps of `feature_channels(backbone, features)`.
        features: "pyramid", or "pyramid_and_trunk": each level beside the trunk's map of the same stride, as published
            for iTPN with UPerNet.
    """

    def __init__(self, backbone: FastITPN, head: SegmentationHead, *, features: str = "pyramid") -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.features = features

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """The layers of the backbone; all else has the whole learning rate, as published."""
        return self.backbone.group_matcher(coarse)

    @property
    def queries(self) -> int | None:
        """Objects that the head can tell apart in an image; None for a head without queries."""
        return self.head.queries

    @property
    def class_layers(self) -> tuple[str, ...]:
        """How the names of the layers begin that depend on the classes."""
        return tuple(f"head.{name}" for name in self.head.class_layers)

    @property
    def input_layers(self) -> tuple[str, ...]:
        """How the names of the layers begin that depend on the backbone's maps."""
        return tuple(f"head.{name}" for name in self.head.input_layers)

    def published_names(self) -> dict[str, tuple[str, ...]]:
        """Parameters of the head, by their published names."""
        return {f"head.{name}": several for name, several in self.head.published_names().items()}

    def forward(self, images: Tensor) -> Outputs:
        """[B, 3, H, W], H and W multiples of 16, to the outputs of the head."""
        if self.training and not self.backbone.training:  # frozen
            with torch.no_grad():
                maps = self.feature_maps(images)
        else:
            maps = self.feature_maps(images)
        return self.head(maps)

    def feature_maps(self, images: Tensor) -> list[Tensor]:
        """Maps at strides 4, 8, 16, 32, and of the pyramid alone 64."""
        if self.features == "pyramid":
            return self.backbone.pyramid_features(images)
        height, width = images.shape[-2] // PATCH, images.shape[-1] // PATCH
        stages = self.backbone.encode(images)
        levels = self.backbone.pyramid_cells(stages)
        stages[-1] = stages[-1][:, int(self.backbone.has_class_token) :].unsqueeze(2)
        maps = [
            cells_to_map(torch.cat(cells, dim=-1), height, width) for cells in zip(levels, stages, strict=True)
        ]  # [B, pyramid + trunk channels, H / s, W / s]
        return [*maps, F.max_pool2d(maps[-1], 2, ceil_mode=True)]

    def log_probabilities(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] to float32 [B, classes, H / 4, W / 4]."""
        return self.head.log_probabilities(self(images))


def feature_channels(backbone: FastITPN, features: str) -> tuple[int, ...]:
    """Channels of what `Segmenter.feature_maps` gives."""
    assert backbone.pyramid is not None
    dim = backbone.pyramid.dim
    if features == "pyramid":
        return (dim,) * 5
    channels = tuple(dim + trunk_dim for trunk_dim in backbone.stage_dims)
    return (*channels, channels[-1])


def create_segmenter(model: Mapping[str, Any], head: Mapping[str, Any], num_classes: int, **extra: Any) -> Segmenter:
    """Build a network from plain types, as checkpoints hold them.

    Args:
        model: "name" and "arguments" of `create_model`.
        head: "name", one of `HEADS`; "arguments" of it; "features", one of `FEATURES`.
        num_classes: Number of classes.
        **extra: Arguments of `create_model` that are not kept, such as `drop_path_rate`.
    """
    arguments = {**model["arguments"], **extra, "num_classes": 0, "global_pool": ""}
    backbone = create_model(model["name"], pyramid=True, **arguments)
    channels = feature_channels(backbone, head["features"])
    created = HEADS[head["name"]].build(channels, num_classes, **head["arguments"])
    return Segmenter(backbone, created, features=head["features"])
