"""What every teacher is: something frozen that gives a vector for each cell of the student's levels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.pretraining.predictions import CELLS
from fastitpn.pretraining.teachers.resampling import to_cells
from fastitpn.pretraining.teachers.statistics import effective_rank, standardise, whiten

IMAGE = "teacher_image"
"""Key of the teacher's view in a batch; with several views, what all their keys begin with."""


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
        sees_student: Whether it must see the size that the student sees, also where sizes are mixed; the targets of
            others are resampled.
        fixed: Whether it stays as it is while the student learns.
        folder: Where its features are stored, if it takes those in place of images; else None.
        summary_dim: Width of its summary of an image; None if it has none.
        of_pixels: Whether a prediction is the pixels of a patch, and can be drawn as such.
        rank: Effective rank of the last batch's features, before they were whitened; None if it is not watched.
    """

    dim: int
    px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    upsample: int = 1
    standardise: bool = False
    whiten: bool = False
    sees_student: bool = False
    fixed: bool = True
    folder: Path | None = None
    summary_dim: int | None = None
    of_pixels: bool = False
    rank: Tensor | None = None

    def described(self, name: str) -> str:
        """A line for the log, with its name."""
        return f"teacher {name} of width {self.dim}"

    def dim_of(self, name: str) -> int:
        """Width of the target of a prediction."""
        return self.dim

    def features(self, images: Tensor) -> Tensor:
        """Features before normalisation, [B, N * upsample^2, dim]."""
        raise NotImplementedError

    def features_and_summary(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features as above, and the summary of each image [B, summary_dim]."""
        raise NotImplementedError

    def cells(self, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Features on the grid of each prediction, [B, N, cells, dim]: one map, resampled."""
        return self.resample(self.prepare(self.features(images).float()), names)

    def resample(self, features: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """One map, [B, N * upsample^2, dim], on the grid of each prediction."""
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

    def views(self) -> "list[tuple[str, Teacher]]":
        """The views of an image that are needed: the key in a batch, and the teacher that it is for."""
        return [(IMAGE, self)]

    def targets_of(self, batch: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
        """`targets` of the views in a batch."""
        return self.targets(batch[IMAGE], names)

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

    def kept_state(self) -> dict[str, Any]:
        """What a checkpoint must have, so that a resumed run has the same targets."""
        return {} if self.fixed else self.state_dict()

    def load_kept_state(self, state: Mapping[str, Any]) -> None:
        """Take it again."""
        self.load_state_dict(state)

    def train(self, mode: bool = True) -> "Teacher":
        """A teacher is always in evaluation mode."""
        return super().train(False)
