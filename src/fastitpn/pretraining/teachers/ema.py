"""The keys of the teacher that is a moving average of the student."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastitpn.config.types import Count, Ratio
from fastitpn.pretraining.teachers.keys import Student, TeacherKeys, TeacherSpec, check_px

if TYPE_CHECKING:
    from fastitpn.pretraining.teachers.base import Teacher


@dataclass(frozen=True, kw_only=True)
class EmaKeys(TeacherKeys):
    """Teacher: ema, the moving average of the student."""

    name: str = "ema"
    px: Count | None = None
    """Image size of the teacher, equal to that of the student; any other is refused."""
    momentum: Ratio = 0.9998
    """Share of the average that one step keeps, at the end."""
    momentum_start: Ratio = 0.996
    """Share of the average that the first step keeps; it rises linearly to `momentum`."""


def _build(keys: EmaKeys, student: Student) -> "Teacher":
    from fastitpn.pretraining.teachers.ema_teacher import EmaTeacher

    check_px(keys.name, keys.px, student)
    return EmaTeacher(
        student.backbone,
        px=student.px,
        mean=student.mean,
        std=student.std,
        momentum=(keys.momentum_start, keys.momentum),
        levels=student.levels,
    )


TEACHER = TeacherSpec(keys=EmaKeys, build=_build, whitens=True)
