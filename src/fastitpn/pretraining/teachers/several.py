"""The keys of several teachers at once, each with levels of the pyramid that it supervises."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fastitpn.config.fields import fields_of
from fastitpn.config.types import Count, NonNegative
from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.keys import Student, TeacherKeys, TeacherSpec, create_teacher
from fastitpn.pretraining.teachers.registry import TEACHERS

if TYPE_CHECKING:
    from fastitpn.pretraining.teachers.base import Teacher

LEVELS = {"merged": "merged", "4": "stride4", "8": "stride8", "16": "stride16"}
"""What is typed, to the name of the prediction."""
_OF_EACH = ("weights", "px", "upsample", "projection")


@dataclass(frozen=True, kw_only=True)
class SeveralKeys(TeacherKeys):
    """Teacher: several, joined by +; a key has a value for each of them, separated by commas."""

    name: str = "several"
    levels: tuple[str, ...] | None = None
    """Levels that each supervises: merged, or their strides 4, 8 or 16, joined by +; none is merged for all."""
    weight: tuple[NonNegative, ...] | None = None
    """Weight of each teacher's loss, the mean over its levels; none is 1 for all."""
    loss: tuple[Literal["cosine", "smooth_l1"] | None, ...] | None = None
    """Loss for each teacher; none uses `loss` for all."""
    summary: tuple[NonNegative, ...] | None = None
    """Weight of a prediction of each one's pooled output (its class token, where it pools that); none leaves it out."""
    balance: Literal["scale", "hadamard", "whiten", "off"] | None = None
    """By statistics found before the first step: take off the mean and divide by one scale, rotate too so that all
    features vary alike, or whiten; off normalises each vector. None is hadamard with smooth_l1, else scale."""
    weights: tuple[Path | None, ...] | None = None
    """For each timm teacher, a file with its weights, or none for those that timm knows."""
    px: tuple[Count | None, ...] | None = None
    """Image size of each teacher; none chooses the size whose grid matches the student's."""
    upsample: tuple[Literal[1, 2, 4], ...] | None = None
    """Enlarge each teacher's input, so that its map lands on a finer stride of the student: 16, 8 or 4."""
    projection: tuple[bool, ...] | None = None
    """For CLIP: features after the projection to the space that images share with text."""

    @property
    def names(self) -> list[str]:
        """The teachers, as each would be typed alone."""
        return TEACHERS.apart(self.name)

    def problems(self) -> list[str]:
        """Checks that each teacher is there once, with one value of each key, and levels that exist."""
        count = len(self.names)
        if count < 2:
            return ["name: expected several teachers joined by +, such as timm:A+timm:B"]
        kinds = {name: TEACHERS.name_in(name) for name in self.names}
        unknown = [name for name, kind in kinds.items() if kind not in TEACHERS or not TEACHERS[kind].joins]
        if unknown:
            return [f"name: expected each to be ema, timm:NAME or features:FOLDER, got {unknown[0]}"]
        result = []
        for key, field in fields_of(type(self)).items():
            values = getattr(self, key)
            if isinstance(values, tuple) and len(values) != count:
                result.append(f"{key}: expected {count} values, one for each teacher, got {len(values)}")
            elif key in _OF_EACH and values is not None:
                result += self._unused(key, values, field.default)
        for text in self.levels or ():
            wrong = [level for level in text.split("+") if level not in LEVELS]
            if wrong:
                result.append(f"levels: expected merged, 4, 8 or 16, or some of them joined by +, got {wrong[0]!r}")
            elif len(set(text.split("+"))) < len(text.split("+")):
                result.append(f"levels: expected each level once, got {text!r}")
        if not result:
            result += self._twice()
        if not any(self.weight or (1,)):
            result.append("weight: expected one above 0")
        return result

    def each(self, key: str, default: Any) -> tuple[Any, ...]:
        """The values of a key, one for each teacher."""
        values = getattr(self, key)
        return (default,) * len(self.names) if values is None else values

    def members(self) -> list[TeacherKeys]:
        """The keys of each teacher."""
        result = []
        for place, name in enumerate(self.names):
            keys: type[TeacherKeys] = TEACHERS[TEACHERS.name_in(name)].keys
            values = {key: self.each(key, None)[place] for key in _OF_EACH}
            given = {key: value for key, value in values.items() if value not in (None, False)}
            result.append(keys(name=name, standardise=self.standardise, whiten=self.whiten, **given))
        return result

    def _unused(self, key: str, values: tuple[Any, ...], default: Any) -> list[str]:
        result = []
        for name, value in zip(self.names, values, strict=True):
            keys = fields_of(TEACHERS[TEACHERS.name_in(name)].keys)
            if value not in (None, False, 1) and key not in keys:
                result.append(f"{key}: expected none for teacher={name}, which makes no use of it, got {value}")
        return result

    def _twice(self) -> list[str]:
        seen: dict[tuple[Any, ...], str] = {}
        for place, name in enumerate(self.names):
            which = (name, *(self.each(key, None)[place] for key in _OF_EACH))
            if which in seen:
                return [f"name: expected each teacher once, got {name} twice; levels=merged+8 gives one more levels"]
            seen[which] = name
        return []


def _build(keys: SeveralKeys, student: Student) -> "Teacher":
    from fastitpn.pretraining.teachers.several_teachers import Member, SeveralTeachers

    count = len(keys.names)
    members = []
    for place, member in enumerate(keys.members()):
        levels = tuple(LEVELS[level] for level in keys.each("levels", "merged")[place].split("+"))
        teacher = create_teacher(member, dataclasses.replace(student, levels=levels != ("merged",)))
        weight, loss = keys.each("summary", 0.0)[place], keys.each("loss", None)[place] or student.loss
        if weight and teacher.summary_dim is None:
            raise InputError(
                f"teacher={member.name} has no summary of an image",
                where="teacher.summary",
                expected="0 for it: only an encoder of timm that pools has one",
                fix=f"teacher.summary={','.join('0' if place == other else '1' for other in range(count))}",
            )
        members.append(
            Member(
                teacher=teacher,
                levels=levels,
                summary=weight > 0,
                balance=keys.balance or ("hadamard" if loss == "smooth_l1" else "scale"),
                weight=keys.each("weight", 1.0)[place],
                summary_weight=weight,
                loss=loss,
            )
        )
    return SeveralTeachers(members)


TEACHER = TeacherSpec(keys=SeveralKeys, build=_build)
