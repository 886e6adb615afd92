"""The rows of a run for TensorBoard: `tensorboard --logdir RUN/tensorboard`."""

from collections.abc import Mapping
from typing import Any

import tensorboard  # noqa: F401  # named in the error if it is missing
from torch.utils.tensorboard import SummaryWriter

from fastitpn.runs.loggers.base import LoggedRun, MetricsLogger, values_of

FOLDER = "tensorboard"


class TensorBoardLog(MetricsLogger):
    """Curves; those of an earlier attempt are hidden from the step on at which the run goes on."""

    forgets = True

    def __init__(self, run: LoggedRun):
        folder = run.directory / FOLDER
        self.begins = not folder.is_dir()
        self._writer = SummaryWriter(folder, purge_step=run.step + 1)

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a point to each curve."""
        for name, value in values_of(row).items():
            self._writer.add_scalar(name, value, row["step"])

    def close(self, *, complete: bool) -> None:
        """End the files."""
        self._writer.close()
