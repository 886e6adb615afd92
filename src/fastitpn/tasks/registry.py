"""The tasks by name.

A task is a package with two modules, which are imported when they are asked for:

- `config`, with `KEYS`, a `TaskKeys`: what `--help` needs; it imports nothing heavy;
- `spec`, with `SPEC`, a `TaskSpec`: everything else.
"""

import importlib
import shlex
from dataclasses import dataclass
from typing import Any

from fastitpn.config.fields import Config
from fastitpn.errors import InputError
from fastitpn.registry import Registry


@dataclass(frozen=True, kw_only=True)
class TaskKeys:
    """The keys of a task's verbs.

    Attributes:
        train: Keys of its training; `_command` says how the training is called, such as "finetune classify".
        sentence: What its training does, for `--help`.
        example: A command to copy.
        evaluate: Keys of `evaluate` for its checkpoints; None if they cannot be evaluated.
        predict: Keys of `predict` for its checkpoints; None if they predict nothing.
    """

    train: type[Config]
    sentence: str
    example: str
    evaluate: type[Config] | None = None
    predict: type[Config] | None = None


class TaskRegistry(Registry[str]):
    """Tasks by name; the members are names of packages."""

    def keys_of(self, name: str) -> TaskKeys:
        """The keys of a task.

        Raises:
            InputError: There is no such task.
        """
        keys: TaskKeys = importlib.import_module(f"{self[name]}.config").KEYS
        return keys

    def keys_for(self, verb: str, task: str | None, path: object) -> Any:
        """The keys that a verb has for a checkpoint.

        Args:
            verb: "evaluate" or "predict".
            task: What the checkpoint says of its task.
            path: Its file, for messages.

        Raises:
            InputError: Its task has nothing for this verb, or this installation has no such task.
        """
        keys = getattr(self.keys_of(self.spec_of(task, path).name), verb)
        if keys is None:
            able = [name for name in self if getattr(self.keys_of(name), verb) is not None]
            raise InputError(
                f"a checkpoint of the task {task!r} has nothing to {verb}",
                where=path,
                expected=f"a checkpoint of one of the tasks {', '.join(able)}",
                fix=f"fastitpn finetune {able[0]} data=FOLDER weights={shlex.quote(str(path))}",
            )
        return keys

    def spec(self, name: str) -> Any:
        """The `TaskSpec` of a task.

        Raises:
            InputError: There is no such task.
        """
        return importlib.import_module(f"{self[name]}.spec").SPEC

    def spec_of(self, task: str | None, path: object) -> Any:
        """The `TaskSpec` for a checkpoint.

        Args:
            task: What the checkpoint says of its task.
            path: The checkpoint's file, for messages.

        Raises:
            InputError: This installation has no such task.
        """
        if task is None or task not in self:
            raise InputError(
                f"this is a checkpoint of the task {task!r}, which this installation does not have",
                where=path,
                expected=f"one of the tasks {', '.join(self)}",
                fix="import the package that adds the task before, or use the version of fastitpn that wrote it",
            )
        return self.spec(task)


TASKS = TaskRegistry(
    "task",
    {
        "classify": "fastitpn.tasks.classify",
        "segment": "fastitpn.tasks.segment",
        "detect": "fastitpn.tasks.detect",
        "pretrain": "fastitpn.tasks.pretrain",
    },
)
