"""Data of another task than the one that was typed: the message names the command for it."""

import shlex
from typing import Any

from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.errors import InputError
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.spec import TaskSpec


def open_data(spec: TaskSpec[Any, Any, Any], config: Any) -> Any:
    """The data of a training.

    Raises:
        InputError: It cannot be read; where it is of another task, the fix is the command for that.
    """
    try:
        return spec.open_data(config)
    except InputError as error:
        command = command_for(config, spec)
        if command is None:
            raise
        raise InputError(
            error.what,
            where=error.where,
            expected=error.expected,
            fix=f"{command}, if the data is for that" + (f"; or {error.fix}" if error.fix else ""),
        ) from error


def command_for(config: Any, own: TaskSpec[Any, Any, Any]) -> str | None:
    """What to type for data of another task; None if it is of the task itself, is not there, or is damaged."""
    if not config.data.exists():
        return None
    for spec in sorted(map(TASKS.spec, TASKS), key=lambda spec: -spec.particularity):
        try:
            known = spec.diagnose(DoctorConfig(data=config.data))
        except InputError:
            return None
        if known is not None and spec.name == own.name:
            return None
        if known is not None and known.entries:
            return f"fastitpn {TASKS.keys_of(spec.name).train._command} data={shlex.quote(str(config.data))}"
    return None
