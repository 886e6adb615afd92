"""Which acceleration a model runs with: the one asked for, else the one that its weights were trained with."""

import os
from collections.abc import Mapping
from typing import Any

from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.models.acceleration.settings import TUNED, Acceleration, resolve_acceleration

AccelerationLike = str | Mapping[str, Any] | Acceleration
"""A preset's name, what `Acceleration.to_dict` gave, or an `Acceleration`."""


def trained_acceleration(checkpoint: Mapping[str, Any], path: str | os.PathLike[str]) -> Acceleration:
    """What the weights of a checkpoint were trained with; older checkpoints and published files say nothing: off.

    Args:
        checkpoint: Content of one of our checkpoints; empty for other files.
        path: The checkpoint's file, for messages.

    Raises:
        InputError: The entry is none that this version knows.
    """
    try:
        return resolve_acceleration(checkpoint.get("acceleration"))
    except (InputError, TypeError) as error:
        what = error.what if isinstance(error, InputError) else str(error)
        raise InputError(
            f"the acceleration that this checkpoint was trained with cannot be read: {what}",
            where=path,
            expected="what training with this version of fastitpn writes",
            fix="use the version of fastitpn that wrote it, or a newer one",
        ) from error


def choose_acceleration(asked: AccelerationLike | None, trained: Acceleration | None) -> Acceleration:
    """The acceleration to run with; a line says so if the weights were trained with another.

    Args:
        asked: What was asked for; None takes `trained`.
        trained: What the weights were trained with; None for random ones, whose acceleration nobody has chosen yet.

    Raises:
        InputError: There is no preset of that name, or the weights have no tuned one.
    """
    chosen = named_acceleration(trained if asked is None else asked, trained)
    if trained is not None and chosen != trained:
        same_name = chosen.name == trained.name  # one of another version, or two of your own
        before = trained.describe() if same_name else trained.name
        say(f"acceleration {chosen.describe()}, although the weights were trained with {before}")
    return chosen


def named_acceleration(asked: AccelerationLike | None, trained: Acceleration | None) -> Acceleration:
    """What was asked for; "tuned" is what `fastitpn accelerate` left in the checkpoint.

    Raises:
        InputError: There is no such acceleration.
    """
    if asked != TUNED:
        return resolve_acceleration(asked)
    if trained is None or trained.name != TUNED:
        raise InputError(
            "these weights have no tuned acceleration",
            where="acceleration",
            expected="a checkpoint that fastitpn accelerate wrote",
            fix="fastitpn accelerate RUN data=VALIDATION, or acceleration=balanced",
        )
    return trained


def check_acceleration(asked: AccelerationLike | None, built_in: Acceleration, path: os.PathLike[str]) -> None:
    """Make sure that nothing else is asked of an exported graph than what it was exported with.

    Raises:
        InputError: It is.
    """
    if asked is None or (chosen := named_acceleration(asked, built_in)) == built_in:
        return
    raise InputError(
        f"this exported graph has the acceleration {built_in.name}, which cannot be switched to {chosen.name}",
        where=path,
        expected=f"acceleration={built_in.name}, or none",
        fix=f"export it again: fastitpn export CHECKPOINT acceleration={chosen.name}",
    )


def acceleration_figure(acceleration: Acceleration) -> tuple[str, str, str]:
    """The acceleration among the main figures of a report."""
    note = "" if acceleration.off else acceleration.describe().removeprefix(f"{acceleration.name}: ")
    return "acceleration", acceleration.name, note
