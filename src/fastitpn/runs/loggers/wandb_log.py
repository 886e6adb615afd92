"""The rows of a run for Weights & Biases, offline unless WANDB_MODE says otherwise."""

import os
import secrets
from collections.abc import Mapping
from typing import Any

import wandb

from fastitpn.errors import InputError
from fastitpn.runs.loggers.base import LoggedRun, MetricsLogger, values_of

PROJECT = "fastitpn"
_ONLINE = ("online", "shared")


class WandbLog(MetricsLogger):
    """Files in `RUN/wandb`, which `wandb sync` sends; with WANDB_MODE=online they are sent at once."""

    def __init__(self, run: LoggedRun):
        mode = _mode()
        self.begins, self.mark = not run.mark, run.mark or secrets.token_hex(4)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=run.title,
            id=self.mark,
            resume="allow" if mode in _ONLINE else None,
            mode=mode,
            dir=str(run.directory),
            config=dict(run.config),
            settings=wandb.Settings(silent=True, console="off"),
        )

    def write(self, row: Mapping[str, Any]) -> None:
        """Log at the step of the row."""
        self._run.log(values_of(row), step=row["step"])

    def close(self, *, complete: bool) -> None:
        """End this part of the run; one that is not complete is marked so, and goes on under the same id."""
        self._run.finish(exit_code=0 if complete else 1)

    @classmethod
    def check_access(cls) -> None:
        """Make sure that there is a login where rows are to be sent.

        Raises:
            InputError: There is none.
        """
        if _mode() in _ONLINE and not wandb.api.api_key:
            raise InputError(
                f"WANDB_MODE={_mode()} sends metrics to Weights & Biases, and there is no login",
                where="logger=wandb",
                expected="a login, or WANDB_API_KEY",
                fix="wandb login; or WANDB_MODE=offline, and wandb sync later",
            )


def _mode() -> Any:
    return os.environ.get("WANDB_MODE", "offline")
