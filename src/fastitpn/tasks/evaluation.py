"""What an evaluation gives, for every task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from fastitpn.reporting.sections import Section, Table
from fastitpn.reporting.values import Value

Headline = tuple[str, Value, str]
"""A number on top of a report: what it is, its value, and a note."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Metrics of a trained model on labelled images; a task has a subclass with what else it found.

    Attributes:
        metrics: Value of each metric by its name.
        classes: Names of the classes.
        num_images: How many images were looked at.
        seconds: How long it took.
        resampled: What `of_images` is quick enough for: samples of images drawn many times over, or a few groups of
            images, none of which names one twice.
    """

    resampled: ClassVar[Literal["images", "groups"]] = "images"

    metrics: dict[str, float]
    classes: list[str] = field(default_factory=list)
    num_images: int
    seconds: float = 0.0

    def of_images(self, places: Sequence[int]) -> float | None:
        """The task's first metric over some of the images, for the interval of a difference between two models.

        Args:
            places: Positions of the images; one that stands there twice counts twice.

        Returns:
            None where the evaluation does not know what each image contributes, and nan where these say nothing.
        """
        return None

    def right_answers(self) -> int | None:
        """How many images the model answers right, where the first metric is their share; None for other metrics."""
        return None

    def per_class(self) -> list[dict[str, Any]]:
        """The metrics of each class, plain types."""
        return []

    def tables(self) -> Sequence[Table]:
        """What is printed."""
        return ()

    def sections(self) -> Sequence[Section]:
        """Pictures and tables of a report."""
        return self.tables()

    def headlines(self, note: str = "percent") -> list[Headline]:
        """The main metrics, on top of the report of a run.

        Args:
            note: Words below the first metric: unit, checkpoint, number of images.
        """
        return [(name, value, note) for name, value in self.metrics.items()]

    def summary(self) -> list[Headline]:
        """The metrics on top of the report of an evaluation."""
        return [(name, value, "percent") for name, value in self.metrics.items()]

    def warnings(self) -> Sequence[str]:
        """What a person should know before the metrics are believed, a sentence or two each."""
        return ()

    def files(self) -> Mapping[str, Any]:
        """More files to write: name to plain types."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {
            "metrics": self.metrics,
            "num_images": self.num_images,
            "classes": self.classes,
            "per_class": self.per_class(),
        }


def rows_of(table: Table) -> list[dict[str, Any]]:
    """A table as plain types, a dict for each row."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]
