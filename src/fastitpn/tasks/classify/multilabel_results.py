"""What a classification with several labels is."""

from dataclasses import dataclass
from typing import Any

from fastitpn.inference.drawing import GRAY, Share
from fastitpn.tasks.classify.results import Classification, Predictions


@dataclass(frozen=True, kw_only=True)
class LabelSet(Classification):
    """The labels of one image, which may be none.

    Attributes:
        labels: Names of the classes that reach their threshold, the likeliest first.
        scores: Their probabilities, each by itself (sigmoid), in [0, 1].
        candidates: These, and the likeliest others: names and probabilities, the likeliest first.
    """

    candidates: tuple[tuple[str, float], ...]

    @property
    def label(self) -> str:
        """The likeliest of the labels; "" if there is none."""
        return self.labels[0] if self.labels else ""

    @property
    def score(self) -> float:
        """Probability of the likeliest of the labels, in [0, 1]; 0 if there is none."""
        return self.scores[0] if self.labels else 0.0

    def summary(self) -> str:
        """The labels and their scores."""
        return (
            ", ".join(f"{label} {score:.2f}" for label, score in zip(self.labels, self.scores, strict=True)) or "none"
        )

    def caption(self) -> str:
        """The labels."""
        return ", ".join(self.labels) or "none"

    def shares(self) -> list[Share]:
        """The candidates and their scores; the labels among them are ticked, the others grey."""
        return [
            Share(f"✓ {name}", score, self.color(name)) if name in self.labels else Share(name, score, GRAY)
            for name, score in self.candidates
        ]

    def csv_rows(self) -> list[dict[str, Any]]:
        """A line with the labels and their scores, each joined by semicolons."""
        return [{"labels": ";".join(self.labels), "scores": ";".join(f"{score:.4f}" for score in self.scores)}]

    def to_json(self) -> dict[str, Any]:
        """Plain types: index, path, labels, scores and candidates."""
        return {**super().to_json(), "candidates": dict(self.candidates)}


@dataclass(frozen=True, repr=False)
class LabelSets(Predictions):
    """The labels of all images, in the order in which they were given."""

    shown = (2, "; ")
