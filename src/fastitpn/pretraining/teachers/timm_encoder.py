"""The keys of teachers from timm."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fastitpn.config.types import Count
from fastitpn.pretraining.teachers.keys import Student, TeacherKeys, TeacherSpec

if TYPE_CHECKING:
    from fastitpn.pretraining.teachers.base import Teacher


@dataclass(frozen=True, kw_only=True)
class TimmKeys(TeacherKeys):
    """Teacher: timm, any of its image encoders."""

    name: str = "timm:vit_base_patch16_clip_224.openai"
    weights: Path | None = None
    """File with the teacher's weights; none uses those of timm."""
    px: Count | None = None
    """Image size of the teacher; none chooses the size whose grid matches the student's."""
    upsample: Literal[1, 2, 4] = 1
    """Enlarge the teacher's input, so that its map lands on a finer stride of the student: 16, 8 or 4."""
    projection: bool = False
    """For CLIP: features after the projection to the space that images share with text."""


def _build(keys: TimmKeys, student: Student) -> "Teacher":
    from fastitpn.pretraining.teachers.timm_teacher import TimmTeacher

    return TimmTeacher(
        keys.argument,
        grid=student.grid,
        weights=keys.weights,
        px=keys.px,
        upsample=keys.upsample,
        projection=keys.projection,
    )


def _alone(keys: TimmKeys) -> "Teacher":
    from fastitpn.pretraining.teachers.timm_teacher import TimmTeacher

    return TimmTeacher(keys.argument, grid=None, weights=keys.weights, px=keys.px, projection=keys.projection)


TEACHER = TeacherSpec(keys=TimmKeys, build=_build, alone=_alone)
