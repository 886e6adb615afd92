"""A teacher: the mean colour of each patch, which needs no network."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from fastitpn.pretraining.teachers.base import Teacher
from fastitpn.pretraining.teachers.keys import Student, TeacherKeys, TeacherSpec


@dataclass(frozen=True, kw_only=True)
class ColourKeys(TeacherKeys):
    """Teacher: colours, the mean colour of each patch."""

    name: str = "colours"
    repeat: int = 2
    """How often the three colours stand in a target."""


class ColourTeacher(Teacher):
    """Targets of `3 * repeat` features."""

    def __init__(self, keys: ColourKeys, student: Student):
        super().__init__()
        self.repeat, self.grid = keys.repeat, student.grid
        self.dim, self.px = 3 * keys.repeat, student.px
        self.mean, self.std = student.mean, student.std

    def features(self, images: Tensor) -> Tensor:
        colours = F.adaptive_avg_pool2d(images, self.grid).flatten(2).transpose(1, 2)  # [B, N, 3]
        return colours.repeat(1, 1, self.repeat)


TEACHER = TeacherSpec(keys=ColourKeys, build=ColourTeacher)
