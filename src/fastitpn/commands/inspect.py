"""`fastitpn inspect`: what a file of weights holds."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.training.config import ChoiceConfig

if TYPE_CHECKING:
    from fastitpn.tasks.inspection import Inspection


@dataclass(frozen=True, kw_only=True)
class InspectConfig(ChoiceConfig):
    """Inspection."""

    _command: ClassVar[str] = "inspect"
    _positional: ClassVar[tuple[str, ...]] = ("file",)

    file: Path
    """File with weights (.pt, .pth, .safetensors, .ckpt), a run folder, or published:NAME."""
    model: str | None = None
    """Name of the model to compare with; none finds it from the file."""


VERB = Verb(
    config=InspectConfig,
    sentence="Describe a file of weights, and say whether it fits a model.",
    example="fastitpn inspect fast_itpn_base.pt",
    run="fastitpn.commands.inspect:run",
)


def inspect(file: str | os.PathLike[str], **keys: Any) -> "Inspection":
    """Say what a file of weights holds and what loading it would do, and print it.

    Args:
        file: Weights (.pt, .pth, .safetensors, .ckpt), or a run directory.
        **keys: As on the command line: `model`, `key`, `prefix`, `blocks`.

    Raises:
        InputError: A key or the file is wrong.
    """
    from fastitpn.tasks.inspection import inspect_and_say

    config = build(InspectConfig, {"file": file, **keys})
    return inspect_and_say(config.file, config.model, **config.choice)


def run(config: InspectConfig) -> "Inspection":
    """Inspect a file and say what it is; on the command line a file that fits no model ends with exit code 1."""
    from fastitpn.tasks.inspection import stop_at_misfit

    inspection = inspect(config.file, model=config.model, **config.choice)
    stop_at_misfit(inspection, config.model)
    return inspection
