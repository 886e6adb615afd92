"""What every verb of the command line consists of."""

import dataclasses
from collections.abc import Callable
from typing import Any

from fastitpn.config import Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verb:
    """A verb, with its task if it has one.

    Attributes:
        config: Its configuration, which knows the verb's name.
        sentence: What it does.
        example: A command to copy.
        run: Takes the configuration and does it. It imports what it needs itself, since that takes seconds.
    """

    config: type[Config]
    sentence: str
    example: str
    run: Callable[[Any], object]

    @property
    def words(self) -> tuple[str, ...]:
        """The words after `fastitpn`: verb, and task if it has one."""
        return tuple(self.config._command.split())
