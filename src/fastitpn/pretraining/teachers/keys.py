"""What a teacher is to a configuration: its keys, and how it is made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from fastitpn.config.fields import Config
from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.registry import TEACHERS
from fastitpn.registry import Registry

if TYPE_CHECKING:
    from fastitpn.models.backbone import FastITPN
    from fastitpn.pretraining.teachers.base import Teacher


_WITHOUT: dict[str, Any] = {"levels": "merged", "weight": 1.0, "summary": 0.0, "upsample": 1, "projection": False}
_OF_ALL = ("balance", "standardise", "whiten")


def join_teachers(teachers: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Teachers that a recipe lists one by one, to the keys of several (`several.SeveralKeys`)."""
    result: dict[str, Any] = {"name": "+".join(str(teacher.get("name", "")) for teacher in teachers)}
    if len(teachers) == 1:
        return dict(teachers[0])
    for key in dict.fromkeys(key for teacher in teachers for key in teacher if key != "name"):
        values = [teacher.get(key, _WITHOUT.get(key)) for teacher in teachers]
        if key == "levels":
            values = ["+".join(map(str, value if isinstance(value, list) else [value])) for value in values]
        result[key] = next(value for value in values if value is not None) if key in _OF_ALL else values
    return result


@dataclass(frozen=True, kw_only=True)
class TeacherKeys(Config):
    """Teacher."""

    _shorthand: ClassVar[str | None] = "name"
    _variants: ClassVar[Registry[Any] | None] = TEACHERS
    _joined: ClassVar[Any] = staticmethod(join_teachers)

    name: str = "ema"
    """Source of the targets: ema (average of the student), timm:NAME or features:FOLDER; teacher=NAME for short."""
    standardise: bool = False
    """Standardise each feature over the batch, which subtracts the part that all patches share; good for CNNs."""
    whiten: bool | None = None
    """Whiten the features over the batch (ZCA); none does so for ema, whose targets may collapse otherwise."""

    @property
    def argument(self) -> str:
        """What stands after the colon of the name."""
        return self.name.partition(":")[2]


@dataclass(frozen=True, kw_only=True)
class Student:
    """What a teacher must know of its student.

    Attributes:
        backbone: Trunk and pyramid.
        px: Side of its input in pixels.
        grid: Patches per side.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
        levels: Whether targets at the pyramid's levels are wanted.
        loss: How predictions are compared with targets, see `feature_loss`.
    """

    backbone: "FastITPN"
    px: int
    grid: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    levels: bool = False
    loss: str = "cosine"


@dataclass(frozen=True, kw_only=True)
class TeacherSpec:
    """A kind of teacher. Its module imports what takes long in its functions.

    Attributes:
        keys: Class of the teacher's keys, with their defaults.
        build: From its keys and the student to the teacher.
        alone: From its keys to the teacher for `pretrain cache-features`, which has no student; None if that is
            impossible.
        whitens: Whether its features are whitened where `teacher.whiten` is none.
        joins: Whether it may be one of several.
    """

    keys: type[TeacherKeys]
    build: "Callable[[Any, Student], Teacher]"
    alone: "Callable[[Any], Teacher] | None" = None
    whitens: bool = False
    joins: bool = True


def check_px(name: str, px: int | None, student: Student) -> None:
    """Stops if a teacher that sees what the student sees is asked for another size.

    Args:
        name: The teacher's name.
        px: The size that was asked for, in pixels; None for no wish.
        student: Has the size.

    Raises:
        InputError: It is not the student's.
    """
    if px not in (None, student.px):
        raise InputError(
            f"teacher.px is {px}, but teacher={name} sees the student's {student.px} px",
            where="teacher.px",
            expected=f"none, or {student.px}",
            fix="leave teacher.px out",
        )


def create_teacher(keys: TeacherKeys, student: Student) -> "Teacher":
    """The teacher of a configuration.

    Raises:
        InputError: There is no such teacher, or it does not fit the student.
    """
    spec: TeacherSpec = TEACHERS[TEACHERS.name_in(keys.name)]
    teacher = spec.build(keys, student)
    teacher.standardise = keys.standardise
    teacher.whiten = spec.whitens if keys.whiten is None else keys.whiten
    return teacher
