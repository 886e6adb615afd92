"""The rows of a run for MLflow, in a folder beside the run unless MLFLOW_TRACKING_URI says otherwise."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from fastitpn.errors import InputError
from fastitpn.runs.loggers.base import LoggedRun, MetricsLogger, values_of

EXPERIMENT, FOLDER = "fastitpn", "mlruns"
_MOST_PARAMS, _LONGEST_PARAM = 100, 500
"""Of one request, and characters of a value."""


class MlflowLog(MetricsLogger):
    """A run of the experiment `fastitpn`, or of MLFLOW_EXPERIMENT_NAME."""

    def __init__(self, run: LoggedRun):
        place = os.environ.get("MLFLOW_TRACKING_URI") or _local(run.directory)
        try:
            self._client = MlflowClient(tracking_uri=place)
            self.begins = not run.mark
            self.mark = run.mark or self._create(run)
            self._client.update_run(self.mark, status="RUNNING")
        except MlflowException as error:
            raise InputError(
                f"MLflow cannot be written to: {' '.join(str(error).split())}",
                where=place,
                expected="a server that answers, a login that it accepts, and the run that was begun there",
                fix="set MLFLOW_TRACKING_URI, MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; or leave out "
                "logger=mlflow",
            ) from None

    def _create(self, run: LoggedRun) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", EXPERIMENT)
        experiment = self._client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else self._client.create_experiment(name)
        mark: str = self._client.create_run(number, run_name=run.title).info.run_id
        params = [Param(key, str(value)[:_LONGEST_PARAM]) for key, value in run.config.items()]
        for first in range(0, len(params), _MOST_PARAMS):
            self._client.log_batch(mark, params=params[first : first + _MOST_PARAMS])
        return mark

    def write(self, row: Mapping[str, Any]) -> None:
        """Log all numbers of the row at its step."""
        now = int(1000 * time.time())
        metrics = [Metric(name, value, now, row["step"]) for name, value in values_of(row).items()]
        self._client.log_batch(self.mark, metrics=metrics)

    def close(self, *, complete: bool) -> None:
        """Say how the run ended; one that is not complete goes on later."""
        self._client.set_terminated(self.mark, "FINISHED" if complete else "KILLED")


def _local(directory: Path) -> str:
    """The folder of all runs beside this one."""
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # a database needs more than mlflow-skinny
    return (directory.absolute().parent / FOLDER).as_uri()
