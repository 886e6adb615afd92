"""The keys of features that are stored on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastitpn.config.types import Count
from fastitpn.pretraining.teachers.keys import Student, TeacherKeys, TeacherSpec, check_px

if TYPE_CHECKING:
    from fastitpn.pretraining.teachers.base import Teacher


@dataclass(frozen=True, kw_only=True)
class StoredKeys(TeacherKeys):
    """Teacher: features that `pretrain cache-features` stored."""

    name: str = "features:"
    px: Count | None = None
    """Image size of the teacher, equal to that of the student; any other is refused."""


def _build(keys: StoredKeys, student: Student) -> "Teacher":
    from fastitpn.pretraining.teachers.stored_teacher import StoredTeacher

    check_px(keys.name, keys.px, student)
    return StoredTeacher(Path(keys.argument), grid=student.grid)


TEACHER = TeacherSpec(keys=StoredKeys, build=_build)
