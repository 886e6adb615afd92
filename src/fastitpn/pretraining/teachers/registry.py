"""Which teacher a configuration means."""

from pathlib import Path

import timm

from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.layers.cells import PATCH
from fastitpn.pretraining.teachers.base import Teacher
from fastitpn.pretraining.teachers.ema import EmaTeacher
from fastitpn.pretraining.teachers.stored import StoredTeacher
from fastitpn.pretraining.teachers.timm_encoder import TimmTeacher


def create_teacher(
    name: str,
    *,
    student: FastITPN,
    px: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    weights: Path | None = None,
    teacher_px: int | None = None,
    momentum: tuple[float, float] = (0.996, 0.9998),
    standardise: bool = False,
    whiten: bool = False,
    upsample: int = 1,
    projection: bool = False,
    levels: bool = False,
) -> Teacher:
    """The teacher of a configuration: "ema", "timm:NAME" or "features:DIR".

    Args:
        name: Which.
        student: The student's backbone.
        px: Side of the student's input.
        mean: The student's normalisation.
        std: The same.
        weights: Of a timm teacher: file with its weights.
        teacher_px: Of a timm teacher: side of its input.
        momentum: Of the moving average, at the first and at the last step.
        standardise: See `Teacher`.
        whiten: See `Teacher`.
        upsample: See `Teacher`; stored features have their own.
        projection: Of a timm teacher, see `TimmTeacher`.
        levels: Whether targets at the pyramid's levels are wanted.

    Raises:
        InputError: Unknown teacher, or one that does not fit the student.
    """
    if name == "ema" or name.startswith("features:"):
        _refuse_keys_of_timm(
            name,
            {
                "weights": weights is not None,
                "px": teacher_px not in (None, px),
                "upsample": upsample != 1,
                "projection": projection,
            },
        )
    teacher: Teacher
    if name == "ema":
        teacher = EmaTeacher(student, px=px, mean=mean, std=std, momentum=momentum, levels=levels)
    elif name.startswith("timm:"):
        teacher = TimmTeacher(
            name.removeprefix("timm:"),
            grid=px // PATCH,
            weights=weights,
            px=teacher_px,
            upsample=upsample,
            projection=projection,
        )
    elif name.startswith("features:"):
        teacher = StoredTeacher(Path(name.removeprefix("features:")), grid=px // PATCH)
    else:
        raise InputError(
            f"unknown teacher {name!r}",
            where="teacher",
            expected="ema, timm:NAME (any image encoder of timm) or features:FOLDER (of `pretrain cache-features`)",
            fix=f"teacher=timm:{name}" if timm.is_model(name) else "teacher=ema",
        )
    teacher.standardise, teacher.whiten = standardise, whiten
    return teacher


def _refuse_keys_of_timm(name: str, given: dict[str, bool]) -> None:
    for key, is_given in given.items():
        if is_given:
            what = "the moving-average teacher is the student itself: it has no weights and no input size of its own"
            if name != "ema":
                what = "features that are stored already have neither weights nor an input size"
            raise InputError(what, where=f"teacher.{key}", fix=f"leave teacher.{key} out, or choose teacher=timm:NAME")
