"""Denoising: disturbed true boxes with disturbed classes as further queries, which training learns to repair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.ops import box_convert

from fastitpn.tasks.detr.position import inverse_sigmoid

Targets = Sequence[Mapping[str, Tensor]]
"""What is in each image: labels int64 [n], and boxes [n, 4] (centre, width, height) as shares of it."""
_FEW = 100


class Draws(NamedTuple):
    """What is random, in the published order, for M boxes."""

    label_p: Tensor
    """Uniform in [0, 1), [M]: where it is low, a label is drawn anew."""
    new_labels: Tensor
    """int64, a label for each of those."""
    signs: Tensor
    """0 or 1, [M, 4]: to which side a corner moves; empty where centres are moved."""
    parts: Tensor
    """Uniform in [0, 1), [M, 4]: how far."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """How true boxes are disturbed.

    Attributes:
        queries: How many, as the published `dn_number` counts them; 0 for none.
        contrastive: As in DINO: corners are moved, and each box is there once near, to be repaired, and once far, to
            be rejected. Else as in MaskDINO: centre and size are changed.
        label_ratio: Twice the share of labels that are drawn anew.
        box_scale: How far boxes are moved, as a share of half of their width and height.
        eps: See `inverse_sigmoid`.
    """

    queries: int
    contrastive: bool
    label_ratio: float
    box_scale: float
    eps: float

    @property
    def times(self) -> int:
        """How often a group has each box."""
        return 2 if self.contrastive else 1

    def groups(self, most: int) -> int:
        """How often all is repeated, where the fullest image of a batch has `most` boxes; as published, also 0."""
        if not self.contrastive:
            return self.queries // max(1, most)
        number = 2 * self.queries
        return max(1, number // (2 * most) if number >= _FEW else number)

    def draw(self, count: int, num_classes: int, device: torch.device) -> Draws:
        """Draw what is random for so many boxes, and labels of so many classes."""
        label_p = torch.rand(count, device=device)
        new_labels = torch.randint(0, num_classes, (int(self._relabelled(label_p).sum()),), device=device)
        signs = torch.randint(0, 2, (count * self.contrastive, 4), device=device)
        return Draws(label_p, new_labels, signs, torch.rand(count, 4, device=device))

    def labels(self, labels: Tensor, draws: Draws) -> Tensor:
        """Labels [M], some of them others."""
        return labels.masked_scatter(self._relabelled(draws.label_p), draws.new_labels)

    def boxes(self, boxes: Tensor, far: Tensor, draws: Draws) -> Tensor:
        """Boxes [M, 4] moved, inside of the image; those that are `far`, bool [M], beyond where others may be."""
        half = boxes[:, 2:] / 2
        if not self.contrastive:
            reach = torch.cat((half, boxes[:, 2:]), -1)
            return (boxes + (2 * draws.parts - 1) * reach * self.box_scale).clamp(0, 1)
        moved = (2 * draws.signs - 1) * (draws.parts + far[:, None]) * half.repeat(1, 2) * self.box_scale
        return box_convert((box_convert(boxes, "cxcywh", "xyxy") + moved).clamp(0, 1), "xyxy", "cxcywh")

    def _relabelled(self, label_p: Tensor) -> Tensor:
        return label_p < 0.5 * self.label_ratio


@dataclass(frozen=True, kw_only=True)
class Denoising:
    """Disturbed boxes as queries, which come before the others; D in all.

    Attributes:
        contents: [B, D, C]; 0 in the slots that an image with fewer boxes leaves empty.
        references: Logits of boxes [B, D, 4]; 0 in the empty slots.
        mask: bool [D + Q, D + Q], True where a query (row) may not look at another (column): nobody at another group,
            and those that are matched at no group.
        pairs: For each image the queries that are to be repaired, and the object that each was made of.
        groups: How often the objects are repeated.
    """

    contents: Tensor
    references: Tensor
    mask: Tensor
    pairs: list[tuple[Tensor, Tensor]]
    groups: int

    @property
    def count(self) -> int:
        """D."""
        return self.contents.shape[1]


def denoise(
    targets: Targets, noise: Noise, table: nn.Embedding, num_classes: int, queries: int, draws: Draws | None = None
) -> Denoising | None:
    """Disturb the objects of a batch.

    Args:
        targets: Objects of each image.
        noise: How.
        table: Contents of each label.
        num_classes: Labels to draw from.
        queries: Those that are matched, Q.
        draws: What is random; None draws it.

    Returns:
        None without objects, and where noise has none.
    """
    counts = [len(target["labels"]) for target in targets]
    most, device = max(counts, default=0), table.weight.device
    groups = noise.groups(most) if most and noise.queries else 0
    if groups == 0:
        return None
    repeats = groups * noise.times
    labels = torch.cat([target["labels"] for target in targets]).repeat(repeats)
    boxes = torch.cat([target["boxes"] for target in targets]).repeat(repeats, 1)
    image = torch.cat([torch.full((n,), place, device=device) for place, n in enumerate(counts)]).repeat(repeats)
    within = torch.cat([torch.arange(n, device=device) for n in counts]).repeat(repeats)
    repeat = torch.arange(repeats, device=device).repeat_interleave(sum(counts))
    slots = repeat * most + within
    draws = draws or noise.draw(len(labels), num_classes, device)
    moved = noise.boxes(boxes, repeat % 2 == 1, draws)

    contents = table.weight.new_zeros(len(targets), repeats * most, table.embedding_dim)
    contents = contents.index_put((image, slots), table(noise.labels(labels, draws)))
    references = boxes.new_zeros(len(targets), repeats * most, 4)
    references = references.index_put((image, slots), inverse_sigmoid(moved, noise.eps))
    starts = torch.arange(groups, device=device) * noise.times * most
    pairs = [
        ((starts[:, None] + torch.arange(n, device=device)).flatten(), torch.arange(n, device=device).repeat(groups))
        for n in counts
    ]
    mask = separating_mask(groups, noise.times * most, queries, device)
    return Denoising(contents=contents, references=references, mask=mask, pairs=pairs, groups=groups)


def separating_mask(groups: int, size: int, queries: int, device: torch.device) -> Tensor:
    """Who may not look at whom: see `Denoising.mask`."""
    group = torch.arange(groups * size, device=device) // size
    group = torch.cat([group, torch.full((queries,), groups, device=device)])
    return (group[:, None] != group) & (group < groups)


def split(parts: Sequence[Tensor], count: int) -> tuple[list[Tensor], list[Tensor]]:
    """[B, D + Q, ...] of each layer to those of the D denoising queries and those of the others."""
    return [part[:, :count] for part in parts], [part[:, count:] for part in parts]
