"""Commands whose keys depend on the task of a checkpoint: those of all tasks are read, and its own are left."""

import dataclasses
import functools
from typing import Any, TypeVar

from fastitpn.config import Config
from fastitpn.errors import InputError
from fastitpn.tasks.registry import TASKS

ConfigT = TypeVar("ConfigT", bound=Config)


def keys_of_all(verb: str, base: type[ConfigT]) -> type[ConfigT]:
    """The keys that a verb has for any task: a class that inherits those of all tasks.

    Args:
        verb: "evaluate" or "predict".
        base: The keys that all tasks share.
    """
    declared = [getattr(TASKS.keys_of(name), verb) for name in TASKS]
    classes: list[Any] = [*dict.fromkeys(config for config in declared if config not in (None, base)), base]
    return union_of(base, *classes)  # type: ignore[arg-type]  # mypy: not hashable


@functools.cache
def union_of(named: type[ConfigT], *classes: type[Config]) -> type[ConfigT]:
    """One class with the keys of several, made once; it has the name and the description of the first argument."""
    union: Any = type(named.__name__, classes, {"__doc__": named.__doc__, "__module__": __name__})
    return dataclasses.dataclass(frozen=True, kw_only=True)(union)


def keys_of_task(config: Config, verb: str, task: str | None, path: object, but: type[Config] | None = None) -> Any:
    """The configuration that the task of a checkpoint has.

    Args:
        config: What was given, with the keys of all tasks (`keys_of_all`).
        verb: "evaluate" or "predict".
        task: What the checkpoint says.
        path: The checkpoint's file, for messages.
        but: Keys of a command that has more than the verb's, which are left out; None for the verb itself.

    Raises:
        InputError: There are keys that mean nothing for this task, or this installation has no such task.
    """
    wanted: type[Config] = TASKS.keys_for(verb, task, path)
    defaults = {field.name: field.default for field in dataclasses.fields(config)}
    given = {name: value for name in defaults if (value := getattr(config, name)) != defaults[name]}
    known = {field.name for field in dataclasses.fields(wanted)}
    if but is not None:
        more = {field.name for field in dataclasses.fields(but)} - known
        given = {name: value for name, value in given.items() if name not in more}
    if useless := [name for name in given if name not in known]:
        them = "them" if len(useless) > 1 else "it"
        raise InputError(
            f"{', '.join(useless)}: not used for a checkpoint of the task {task!r}",
            where=path,
            expected="keys of its task",
            fix=f"leave {them} out, or give a checkpoint of the task that has such keys",
        )
    return wanted(**given)
