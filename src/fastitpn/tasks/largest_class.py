"""Whether a model is better than one answer for all: the share of the largest class, and words where it is not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fastitpn.tasks.evaluation import Headline

_TOLD_APART = 1.1
"""Mean recall, as a multiple of that of one answer for all, from which on classes are told apart."""
ALMOST_ALWAYS = 0.95
"""Share of the answers from which on one answer is worth a warning, unless most are right."""


@dataclass(frozen=True, kw_only=True)
class LargestClass:
    """What the same answer for everything would score.

    Attributes:
        matrix: [classes, classes] counts; row is the true class, column the predicted one.
        classes: Names of the classes.
        unit: What is counted, in the plural: images or pixels.
        metric: What the share of right answers is called.
        uneven: One class has most of anything, as a background has: then a warning needs that the classes are hardly
            told apart, too, since a network that finds the small ones may well have fewer right answers.
    """

    matrix: Tensor
    classes: Sequence[str]
    unit: str
    metric: str
    uneven: bool = False

    @property
    def name(self) -> str:
        """The class with most images or pixels."""
        return self.classes[int(self.matrix.sum(1).argmax())]

    @property
    def share(self) -> float:
        """Its share of them, in percent."""
        return 100 * self.matrix.sum(1).max().item() / max(1, int(self.matrix.sum()))

    def headline(self) -> Headline:
        """For the top of a report."""
        return "largest class", round(self.share, 1), f"percent of the {self.unit} are {self.name}"

    def row(self) -> dict[str, float]:
        """For a table of metrics."""
        return {f"largest class ({self.name})": self.share}

    def to_json(self) -> dict[str, Any]:
        """Plain types."""
        return {"class": self.name, "share": self.share}

    def warnings(self) -> list[str]:
        """That the model answers the same class almost always, or is no better than if it did."""
        answers, total = self.matrix.sum(0), max(1, int(self.matrix.sum()))
        right = 100 * self.matrix.diagonal().sum().item() / total
        if self.uneven and self._mean_recall() > _TOLD_APART / int((self.matrix.sum(1) > 0).sum()):
            return []
        usual = int(answers.argmax())
        single = self.unit.removesuffix("s")
        beside = (
            f"Its {self.metric} is {right:.1f} %; answering {self.name} for every {single} gives {self.share:.1f} %."
        )
        fix = "Train longer (epochs), with another lr or, where some classes are small, class_weights=balanced."
        if answers[usual] >= ALMOST_ALWAYS * total and right < 100 * ALMOST_ALWAYS:
            count = f"{int(answers[usual])} of {total}"
            return [f"The model answers {self.classes[usual]} almost always, for {count} {self.unit}. {beside} {fix}"]
        if right <= self.share < 100:
            return [f"The model is no better than one answer for all. {beside} {fix}"]
        return []

    def _mean_recall(self) -> float:
        """Share of each class that was found, mean over those that are there; of one answer for all 1 / classes."""
        there = self.matrix.sum(1)
        return float((self.matrix.diagonal() / there)[there > 0].mean()) if int(there.sum()) else 0.0
