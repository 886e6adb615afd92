"""The figures of a run for TensorBoard, beside metrics.jsonl."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastitpn.errors import InputError


class TensorBoardLog:
    """Writes rows of the log as curves: `tensorboard --logdir RUN/tensorboard`.

    Args:
        folder: Folder to write event files to.
        step: Where the run begins or goes on; later rows of an earlier attempt are hidden.

    Raises:
        InputError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path, *, step: int):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "TensorBoard is not installed",
                where="tensorboard",
                expected="the package tensorboard",
                fix="pip install 'fastitpn[tensorboard]', or tensorboard=false",
            ) from error
        self._writer = SummaryWriter(folder, purge_step=step + 1)

    def write(self, row: Mapping[str, Any]) -> None:
        """Adds the finite numbers of a row of metrics.jsonl under its split."""
        for name, value in row.items():
            if name not in ("step", "split") and isinstance(value, int | float) and math.isfinite(value):
                self._writer.add_scalar(f"{row['split']}/{name}", value, row["step"])

    def close(self) -> None:
        """Ends the files."""
        self._writer.close()
