"""What every verb of the command line consists of."""

import dataclasses
import importlib
from typing import Any

from fastitpn.config import Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verb:
    """A verb, with its task if it has one.

    Attributes:
        config: Class of the verb's keys; it knows the verb's name.
        sentence: What it does.
        example: A command to copy.
        run: "module:function", which takes the configuration and does it; it is imported when it is called.
        trains: Whether it trains, and its keys have `out`.
    """

    config: type[Config]
    sentence: str
    example: str
    run: str
    trains: bool = False

    def opening(self, config: Any) -> str | None:
        """What to say at once, for loading PyTorch and reading the data take a while; None for a verb that is quick."""
        if not self.trains:
            return None
        data = getattr(config, "data", None)
        return f"fastitpn {self.config._command}: {f'reads {data}, ' if data else ''}writes to {config.out}"

    @property
    def words(self) -> tuple[str, ...]:
        """The words after `fastitpn`: verb, and task if it has one."""
        return tuple(self.config._command.split())

    def __call__(self, config: Any) -> Any:
        """Do it."""
        module, _, function = self.run.partition(":")
        return getattr(importlib.import_module(module), function)(config)
