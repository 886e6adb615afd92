"""The tasks by name.

A task is a package with two modules, which are imported when they are asked for:

- `config`, with `KEYS`, a `TaskKeys`: what `--help` needs; it imports nothing heavy;
- `spec`, with `SPEC`, a `TaskSpec`: everything else.
"""

import importlib
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
            path: Its file, for messages.

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
