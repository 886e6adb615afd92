"""What `fastitpn accelerate` ends with: the setting that was chosen, and the files that say so."""

import dataclasses
from pathlib import Path

from fastitpn.config import to_command, to_yaml
from fastitpn.console import say
from fastitpn.files import replacing, write_text
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Picture, Text
from fastitpn.reporting.tables import print_table
from fastitpn.training.metric import Metric
from fastitpn.tuning.config import AccelerateConfig
from fastitpn.tuning.loss import Loss
from fastitpn.tuning.measured import Measured, Row
from fastitpn.tuning.report import draw_front, front_table, in_words, to_csv

TABLE, PLOT, REPORT = "accelerate.csv", "accelerate.png", "report.html"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Accelerated:
    """What was chosen.

    Attributes:
        out: Folder of the copy of the run.
        chosen: The setting with its speed and its loss.
        rows: Settings that were measured on all images, and are faster by more than the rounds differ.
        metric: In whose points the loss is.
        images: How many that were.
        images_given: How many there are.
        on_test: What it loses on the part `test` of the data, on which nothing was chosen; None without one.
    """

    out: Path
    chosen: Row
    rows: list[Row]
    metric: Metric
    images: int
    images_given: int
    on_test: Loss | None = None

    def describe(self) -> str:
        """For people."""
        speed, loss = self.chosen.known
        return f"{in_words(self.chosen.setting)}: {speed.describe()} as fast, loses {loss.describe(self.metric)}"

    def warnings(self, max_loss: float) -> list[str]:
        """What a person should know before the numbers are believed."""
        _, loss = self.chosen.known
        warnings = []
        if loss.high is None:
            warnings.append("the evaluations of this task say nothing of single images, so the loss has no interval")
        elif loss.high > max_loss:
            warnings.append(
                f"the interval of the loss reaches {loss.high:.2f}, above max_loss={max_loss:g}: more images would tell"
            )
        if self.on_test is not None and self.on_test.points > max_loss:
            warnings.append(f"on test it loses {self.on_test.describe(self.metric)}, more than max_loss={max_loss:g}")
        if self.images < self.images_given:
            warnings.append(f"there was time for {self.images} of {self.images_given} images: give it more minutes")
        return warnings


def write_outcome(config: AccelerateConfig, outcome: Accelerated, measured: Measured, device: str) -> None:
    """Write the table, the plot and the report into `out`, and print what was chosen.

    Args:
        config: Keys of the command.
        outcome: What was chosen.
        measured: All that was measured, whose file gets the choice too.
        device: Where the model ran.
    """
    row, metric, (speed, loss) = outcome.chosen, outcome.metric, outcome.chosen.known
    command, warnings = to_command(config), outcome.warnings(config.max_loss)
    on_test = None if outcome.on_test is None else dataclasses.asdict(outcome.on_test)
    measured.write(chosen=row.setting.to_dict(), on_test=on_test, metric=metric.name, command=command)
    write_text(config.out / TABLE, to_csv(list(measured), row))
    plot, png = draw_front(outcome.rows, row, metric, config.max_loss)
    with replacing(config.out / PLOT) as file:
        file.write(png)
    table = front_table(outcome.rows, row, metric)
    facts = {
        "speed": f"one image, {config.runtime}; rounds in which all take turns; the middle 80 % of the rounds",
        "loss": "against acceleration=off on the same images; 90 % interval of the paired bootstrap",
        "tried": f"{len(list(measured))} settings, on all {outcome.images} images "
        f"{sum(row.measured_on(outcome.images) for row in measured)} of them",
        "time": f"{measured.seconds:.0f} s",
        "command": command,
    }
    if outcome.on_test is not None:
        facts["on test"] = f"loses {outcome.on_test.describe(metric)}, on which nothing was chosen"
    interval = "" if loss.low is None else f"{loss.low:.2f} to {loss.high:.2f}"
    write_report(
        config.out / REPORT,
        title="Acceleration",
        subtitle=outcome.describe(),
        summary=[
            ("speed", f"{speed.ratio:.2f}x", f"{speed.low:.2f} to {speed.high:.2f}, {config.runtime}"),
            (f"{metric.label} lost", round(loss.points, 2), interval),
            ("images", outcome.images, f"of {outcome.images_given}"),
        ],
        sections=[
            *(Text("Warning", warning) for warning in warnings),
            Picture("Loss against speed", plot, "Up and to the right is better; lines are the intervals of both."),
            table,
            Facts("How it was measured", facts),
            Code("Configuration", to_yaml(config)),
            Facts("Environment", describe_environment(device)),
        ],
    )
    print_table(table)
    for warning in warnings:
        say(f"warning: {warning}")
    say(f"tuned: {outcome.describe()}")
    if outcome.on_test is not None:
        say(f"on test, on which nothing was chosen, it loses {outcome.on_test.describe(metric)}")
    files = ", ".join(str(config.out / name) for name in (TABLE, PLOT, REPORT))
    say(f"written: {config.out}, a copy of the run that has acceleration=tuned; {files}")
