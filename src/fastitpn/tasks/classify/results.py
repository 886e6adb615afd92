"""What a classification is."""

from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from fastitpn.data.segmentation.classes import Color, distinct_colors
from fastitpn.inference.drawing import BLUE, Share, card
from fastitpn.inference.results import Result, Results


@dataclass(frozen=True, kw_only=True)
class Classification(Result):
    """The likeliest classes of one image.

    Attributes:
        labels: Names of the classes, the likeliest first.
        scores: Their probabilities (softmax over all classes), in [0, 1].
        classes: Names of all classes, for their colours.
    """

    labels: tuple[str, ...]
    scores: tuple[float, ...]
    classes: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @property
    def label(self) -> str:
        """The likeliest class."""
        return self.labels[0]

    @property
    def score(self) -> float:
        """Probability of the likeliest class, in [0, 1]."""
        return self.scores[0]

    def draw(self, px: int = 384) -> Image.Image:
        """The image with its classes below.

        Args:
            px: Width of the picture, and longest side of the image in it.

        Raises:
            InputError: The file is gone.
        """
        return card(self.source.read(), self.shares(), px=px)

    def summary(self) -> str:
        """The likeliest class and its score."""
        return f"{self.label} {self.score:.2f}"

    def caption(self) -> str:
        """The likeliest class and its score in percent."""
        return f"{self.label} {100 * self.score:.1f} %"

    def shares(self) -> list[Share]:
        """The classes and their scores."""
        return [Share(label, score, self.color(label)) for label, score in zip(self.labels, self.scores, strict=True)]

    def color(self, name: str) -> Color:
        """The colour of a class."""
        return distinct_colors(self.classes)[self.classes.index(name)] if name in self.classes else BLUE

    def csv_rows(self) -> list[dict[str, Any]]:
        """A line with the likeliest class and its score, and the next ones in further columns."""
        ranked = enumerate(zip(self.labels, self.scores, strict=True), start=1)
        number = {1: ""}
        return [
            {
                f"{key}{number.get(rank, f'_{rank}')}": value
                for rank, (label, score) in ranked
                for key, value in (("label", label), ("score", round(score, 4)))
            }
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain types: index, path, labels and scores."""
        return {**super().to_json(), "labels": list(self.labels), "scores": list(self.scores)}


@dataclass(frozen=True, repr=False)
class Predictions(Results[Classification]):
    """The classes of all images, in the order in which they were given."""

    shown = (3, ", ")
