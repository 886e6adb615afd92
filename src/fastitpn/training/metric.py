"""What a number in the log means: its title, its unit, and which direction is good."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PERCENT = "%"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that is logged or measured.

    Attributes:
        name: Its key in `metrics.jsonl`, in an evaluation and in `Run.metrics`.
        title: Its heading in reports.
        unit: What follows the number: "%", "m", ...; "" for none.
        higher_is_better: Whether a higher value is better.
        short: What it is called in a row of numbers, such as "top-1"; the title if empty.
    """

    name: str
    title: str
    unit: str = ""
    higher_is_better: bool = True
    short: str = ""

    @property
    def label(self) -> str:
        """Its short name, else its title."""
        return self.short or self.title

    @property
    def unit_in_words(self) -> str:
        """The unit as a note beside a number."""
        return "percent" if self.unit == PERCENT else self.unit

    def as_good(self, value: float, best: float) -> bool:
        """Whether a value is as good as the best one so far, or better; nan never is."""
        return value >= best if self.higher_is_better else value <= best

    def show(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:.4g} {self.unit}".rstrip()


LOSS = Metric(name="loss", title="Loss", higher_is_better=False)
OF_TRAININGS = (
    LOSS,
    Metric(name="train_loss", title="Train loss", higher_is_better=False),
    Metric(name="lr", title="Learning rate"),
    Metric(name="images_per_s", title="Images per second"),
    Metric(name="data_wait_ratio", title="Data wait ratio", higher_is_better=False),
    Metric(name="gradient_norm", title="Gradient norm", higher_is_better=False),
    Metric(name="memory_mib", title="Memory, MiB", higher_is_better=False),
)
"""What every training logs."""


def describe_metric(name: str, known: Iterable[Metric] | Mapping[str, Metric] = ()) -> Metric:
    """The metric of a name.

    Args:
        name: A key of a log. "best_NAME" is the best value of NAME; a key that nothing declares is called by its name.
        known: Metrics that a task declares.
    """
    declared = dict(known) if isinstance(known, Mapping) else {metric.name: metric for metric in known}
    table = {metric.name: metric for metric in OF_TRAININGS} | declared
    if name in table:
        return table[name]
    inner = name.removeprefix("best_")
    if inner != name and inner in table:
        metric = table[inner]
        title = f"Best {metric.title[:1].lower()}{metric.title[1:]}"
        return Metric(name=name, title=title, unit=metric.unit, higher_is_better=metric.higher_is_better)
    title = name.replace("_", " ")
    return Metric(name=name, title=title[:1].upper() + title[1:])
