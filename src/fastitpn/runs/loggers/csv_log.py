"""All rows in one table, `csv/metrics.csv`, by Lightning Fabric."""

import shutil
from collections.abc import Mapping
from typing import Any

from lightning_fabric.loggers import CSVLogger

from fastitpn.runs.loggers.base import LoggedRun, MetricsLogger, values_of

FOLDER = "csv"


class CsvLog(MetricsLogger):
    """A column for each metric of each split, a line for each row; it is written anew when a run goes on."""

    forgets = True

    def __init__(self, run: LoggedRun):
        shutil.rmtree(run.directory / FOLDER, ignore_errors=True)
        self._logger = CSVLogger(run.directory, name=FOLDER, version="")

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a line, on the disk at once."""
        self._logger.log_metrics(dict(values_of(row)), step=row["step"])
        self._logger.save()
