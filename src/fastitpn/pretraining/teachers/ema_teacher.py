"""The teacher that is a moving average of the student."""

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.models.backbone import FastITPN
from fastitpn.models.taps import Taps
from fastitpn.pretraining.predictions import LEVELS
from fastitpn.pretraining.teachers.base import Teacher
from fastitpn.pretraining.teachers.statistics import mean_over_processes, num_processes

AVERAGED_BLOCKS = 3
"""Blocks whose outputs the moving-average teacher averages: one block alone tends to collapse."""


class EmaTeacher(Teacher):
    """A moving average of the student: needs no download and no labels.

    Targets of a prediction at 1/16 are the mean of its last blocks' normalised outputs; those of the pyramid's levels
    are its own levels (the paper's first form of masked feature modelling). Both less what is the same at one place in
    all images of the batch, which a student could predict without looking.

    Args:
        student: The student's backbone.
        px: Side of the student's input.
        mean: Per channel, subtracted from values in 0 to 1; that of the student.
        std: Per channel, divided by; that of the student.
        momentum: Share of the average that one step keeps, at the first and at the last step.
        levels: Also average the pyramid, for targets at its levels.
    """

    fixed, sees_student = False, True

    def __init__(
        self,
        student: FastITPN,
        *,
        px: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        momentum: tuple[float, float] = (0.996, 0.9998),
        levels: bool = False,
    ):
        super().__init__()
        self.px, self.mean, self.std, self.momentum = px, mean, std, momentum
        pyramid = student.pyramid
        if not levels:
            student.pyramid = None  # targets come from the trunk: the copy needs no pyramid
        self.trunk = copy.deepcopy(student).eval().requires_grad_(False)
        self.trunk.set_acceleration("off")  # a target for every patch, from every block
        self.trunk.set_grad_checkpointing(False)
        student.pyramid = pyramid
        self.dim = self.trunk.embed_dim

    def dim_of(self, name: str) -> int:
        """Width of the trunk, or of the pyramid."""
        pyramid = self.trunk.pyramid
        return pyramid.dim if pyramid is not None and name in LEVELS else self.dim

    def features(self, images: Tensor) -> Tensor:
        """Mean of the last blocks' normalised outputs, [B, N, dim]."""
        return self._encode(images)[1]

    def cells(self, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """The pyramid's levels, and the trunk's features for the other predictions."""
        stages, tokens = self._encode(images)
        cells: dict[str, Tensor] = {name: tokens.unsqueeze(2) for name in names if name not in LEVELS}
        if any(name in LEVELS for name in names):
            levels = zip(LEVELS, self.trunk.pyramid_cells(stages), strict=True)
            cells |= {name: _without_place(level.float()) for name, level in levels if name in names}
        self.watch_rank(cells[names[-1]])
        return {name: self.prepare(cells[name]) for name in names}

    def _encode(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        depth = self.trunk.num_attention_blocks
        last = range(max(0, depth - AVERAGED_BLOCKS) + 1, depth + 1)
        features = self.trunk.encode(images, taps=Taps(blocks=last))
        outputs = [F.layer_norm(tokens.float(), tokens.shape[-1:]) for tokens in features.blocks.values()]
        return features.stages, _without_place(torch.stack(outputs).mean(0))

    def begin(self, student: nn.Module) -> None:
        """Become the student."""
        self._move(student, 1.0)

    def follow(self, student: nn.Module, progress: float) -> None:
        """Move towards the student; the momentum rises linearly with the run."""
        first, last = self.momentum
        self._move(student, 1 - (first + (last - first) * progress))

    @torch.no_grad()
    def _move(self, student: nn.Module, share: float) -> None:
        parameters = dict(student.get_submodule("backbone").named_parameters())
        for name, average in self.trunk.named_parameters():
            average.lerp_(parameters[name], share)


def _without_place(features: Tensor) -> Tensor:
    """Less the mean over the images at each place; a single image has no others to compare with."""
    if len(features) * num_processes() < 2:
        return features
    return features - mean_over_processes(features.mean(0, keepdim=True))
