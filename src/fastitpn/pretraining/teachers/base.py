"""What every teacher is: something frozen that gives a vector for each cell of the student's levels."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.pretraining.predictions import CELLS
from fastitpn.pretraining.teachers.resampling import to_cells
from fastitpn.pretraining.teachers.statistics import effective_rank, standardise, whiten


class Teacher(nn.Module):
    """Frozen; gives [B, N, cells, dim] on the student's grid, layer-normalised without weights over the features.

    Attributes:
        dim: Width of a target.
        px: Side of the teacher's input.
        mean: Per channel, subtracted from values in 0 to 1 of the teacher's input.
        std: Per channel, divided by.
        upsample: Features per side of a patch of the student: 1, 2 or 4, for a map at stride 16, 8 or 4.
        standardise: Standardise each feature over the patches of the batch first. What all patches have in common,
            which dominates the features of CNNs, is then no part of the target.
        whiten: Whiten the features over the patches of the batch first (ZCA).
        fixed: Whether it stays as it is while the student learns.
        folder: Where its features are stored, if it takes those in place of images; else None.
        rank: Effective rank of the last batch's features, before they were whitened; None if it is not watched.
    """

    dim: int
    px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    upsample: int = 1
    standardise: bool = False
    whiten: bool = False
    fixed: bool = True
    folder: Path | None = None
    rank: Tensor | None = None

    def dim_of(self, name: str) -> int:
        """Width of the target of a prediction."""
        return self.dim

    def features(self, images: Tensor) -> Tensor:
        """Features before normalisation, [B, N * upsample^2, dim]."""
        raise NotImplementedError

    def cells(self, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Features on the grid of each prediction, [B, N, cells, dim]: one map, resampled."""
        features = self.prepare(self.features(images).float())
        return {name: to_cells(features, cells=CELLS[name], upsample=self.upsample) for name in names}

    def prepare(self, features: Tensor) -> Tensor:
        """What is done to features with the whole batch in view."""
        if self.standardise:
            features = standardise(features)
        return whiten(features) if self.whiten else features

    @torch.no_grad()
    def targets(self, images: Tensor, names: Sequence[str] = ("merged",)) -> dict[str, Tensor]:
        """Targets for images of the teacher's size.

        Args:
            images: [B, 3, px, px].
            names: Names of the predictions that want a target, see `predictions.CELLS`.

        Returns:
            [B, N, cells, dim] in float32 for each name.
        """
        cells = self.cells(images, names)
        return {name: F.layer_norm(x, x.shape[-1:]) for name, x in cells.items()}  # eps 1e-5, as published

    def forward(self, images: Tensor) -> Tensor:
        """Targets for one prediction a patch, [B, N, dim] in float32."""
        return self.targets(images)["merged"].squeeze(2)

    def watch_rank(self, features: Tensor) -> None:
        """Notes the effective rank of features, before they are whitened."""
        self.rank = effective_rank(features)

    def begin(self, student: nn.Module) -> None:
        """Called when the student has its start weights; a fixed teacher stays as it is."""

    def follow(self, student: nn.Module, progress: float) -> None:
        """Called after each step; a fixed teacher stays as it is."""

    def train(self, mode: bool = True) -> "Teacher":
        """A teacher is always in evaluation mode."""
        return super().train(False)
