"""The image itself as the target."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fastitpn.pretraining.pixel_model import normalised_patches
from fastitpn.pretraining.teachers.base import Teacher


class PixelTeacher(Teacher):
    """The pixels of each patch, normalised by their own mean and variance; it needs no view but the student's.

    Args:
        px: Image size of the student in pixels.
    """

    mean = std = (0.0, 0.0, 0.0)
    of_pixels = True

    def __init__(self, px: int):
        super().__init__()
        self.px, self.dim = px, 3 * 16 * 16

    def views(self) -> list[tuple[str, Teacher]]:
        """None."""
        return []

    @torch.no_grad()
    def targets_of(self, batch: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
        """{"pixels": [B, N, 1, 768]} of the student's view."""
        return {"pixels": normalised_patches(batch["image"].float()).unsqueeze(2)}
