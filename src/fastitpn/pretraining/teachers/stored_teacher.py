"""Features that were stored on disk instead of a teacher that runs along."""

from pathlib import Path

from torch import Tensor

from fastitpn.data.feature_shards import read_index
from fastitpn.errors import InputError
from fastitpn.models.layers.cells import PATCH
from fastitpn.pretraining.teachers.base import Teacher


class StoredTeacher(Teacher):
    """Takes what the loader read from disk: its "images" are the features of the student's crop, [B, dim, side, side].

    Args:
        folder: That `fastitpn pretrain cache-features` wrote.
        grid: Patches per side of the student.

    Raises:
        InputError: No features there, or fewer per side than the student has patches.
    """

    mean = std = (0.0, 0.0, 0.0)

    def __init__(self, folder: Path, *, grid: int):
        super().__init__()
        index = read_index(folder)
        if index.side < grid:
            raise InputError(
                f"the stored features are too coarse: {index.side} per side of a whole image, the student has {grid} "
                "patches",
                where=folder,
                expected=f"at least {grid} per side",
                fix=f"px={index.side * PATCH}, or store them anew from larger images: "
                f"fastitpn pretrain cache-features teacher.px={index.px * -(-grid // index.side)} ...",
            )
        self.folder = folder
        self.px, self.dim = index.px, index.dim
        self.upsample = next(factor for factor in (4, 2, 1) if grid * factor <= index.side)
        self.side = grid * self.upsample

    def features(self, images: Tensor) -> Tensor:
        """[B, dim, side, side] to [B, side * side, dim]."""
        return images.flatten(2).transpose(1, 2)
