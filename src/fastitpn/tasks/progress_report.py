"""`report.html` of a run that is still training: its curves and its latest metrics, written after each evaluation."""

import logging
import time
from collections.abc import Sequence

import torch

from fastitpn.config import to_yaml
from fastitpn.errors import InputError
from fastitpn.reporting.charts import curves
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Grid, Picture, Section
from fastitpn.reporting.timing import timing_section, training_time
from fastitpn.runs.run import REPORT, Run
from fastitpn.tasks.evaluation import Headline
from fastitpn.training.config import TrainingConfig
from fastitpn.training.metric import LOSS, Metric, describe_metric
from fastitpn.training.setup import global_batch

SHARE = 0.04
"""Of the time that the page takes at most: evaluations that follow each other more quickly share one refresh."""

logger = logging.getLogger("fastitpn")


class ProgressReport:
    """Writes the page when it is called; the report at the end of the run takes its place.

    Args:
        run: The run, whose log is drawn.
        config: Keys of the run.
        title: Heading of the page.
        steps: Steps of the whole run.
        metrics: What its evaluations measure; the first one is drawn.
        device: Where it trains.
    """

    def __init__(
        self,
        run: Run,
        config: TrainingConfig,
        *,
        title: str,
        steps: int,
        metrics: Sequence[Metric],
        device: torch.device,
    ):
        self._run, self._config, self._title, self._steps = run, config, title, steps
        self._metrics, self._device, self._next = metrics, device, 0.0

    def __call__(self, step: int) -> None:
        """Write the page after an evaluation at a step, unless the last one was written just now."""
        began = time.monotonic()
        if step >= self._steps or began < self._next:
            return
        try:
            self._write(step)
        except InputError as error:
            logger.warning("the report of the training could not be refreshed: %s", error.what)
        ended = time.monotonic()
        self._next = ended + (ended - began) / SHARE

    def _write(self, step: int) -> None:
        history = self._run.history
        logged = {name for row in history for name in row}
        shown = [LOSS, *(metric for metric in self._metrics[:1] if metric.name in logged), describe_metric("lr")]
        drawn = [Picture(metric.title, curves({"": history}, metric)) for metric in dict.fromkeys(shown)]
        sections: list[Section] = [
            Grid("Training", drawn),
            *timing_section(training_time(history, global_batch(self._config))),
            Code("Configuration", to_yaml(self._config)),
            Facts("Environment", describe_environment(self._device)),
        ]
        latest = self._run.metrics
        summary: list[Headline] = [
            ("steps", step, f"of {self._steps:,}: still training"),
            *(
                (metric.title, latest[metric.name], ", ".join(filter(None, (metric.unit_in_words, "latest"))))
                for metric in self._metrics
                if metric.name in latest
            ),
        ]
        write_report(self._run.directory / REPORT, title=self._title, summary=summary, sections=sections)
