"""A k-nearest-neighbours probe: how well features tell classes apart, without any training."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from fastitpn.models.backbone import FastITPN
from fastitpn.training.task import Batch

TEMPERATURE = 0.07
"""Temperature of the neighbours' votes, as usual for such probes."""


@torch.no_grad()
def pooled_features(backbone: FastITPN, batches: Iterable[Batch]) -> tuple[Tensor, Tensor]:
    """Mean of the trunk's tokens of each image, of length 1, and its label.

    Returns:
        [n, D] in float32 and [n], on the device of the batches.
    """
    features, labels = [], []
    for batch in batches:
        features.append(F.normalize(backbone.encode(batch["image"])[2].float().mean(1), dim=-1))
        labels.append(batch["label"])
    return torch.cat(features), torch.cat(labels)


def knn_accuracy(
    train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor], *, neighbours: int, num_classes: int
) -> float:
    """Share of validation images whose class the nearest training images vote for.

    A neighbour's vote counts exp(cosine / 0.07).

    Args:
        train: Features [n, D] of length 1 and labels [n].
        val: Features [M, D] and labels int64 [M] of the validation images.
        neighbours: Most neighbours that vote.
        num_classes: Number of classes.
    """
    features, labels = train
    similarity, nearest = (val[0] @ features.T).topk(min(neighbours, len(features)), dim=1)
    votes = torch.zeros(len(val[0]), num_classes, device=similarity.device)
    votes.scatter_add_(1, labels[nearest], (similarity / TEMPERATURE).exp())
    return float((votes.argmax(1) == val[1]).float().mean())
