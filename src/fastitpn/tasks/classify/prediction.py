"""`fastitpn predict` with a classifier."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from fastitpn.inference.prediction import PREDICTIONS, SHEET, Prediction
from fastitpn.inference.results import SHEET_IMAGES, Results
from fastitpn.inference.written_pictures import save_picture
from fastitpn.tasks.classify.results import Classification

PICTURES = "pictures"


class ClassifyPrediction(Prediction[Classification]):
    """The likeliest classes of images, below each of them, and of each frame of a video in a corner of it."""

    columns: ClassVar[tuple[str, ...]] = ("class", "score", "then")
    pictures = (PICTURES,)

    def write(self, result: Classification, out: Path, name: Path) -> Classification:
        """Write the image with its classes below, each with a bar as long as its score."""
        save_picture(result.draw(), out / PICTURES / name)
        return result

    def row(self, result: Classification) -> tuple[object, ...]:
        """The likeliest class, its score, and the next two."""
        others = zip(result.labels[1:3], result.scores[1:3], strict=True)
        return result.label, result.score, ", ".join(f"{label} {score:.2f}" for label, score in others)

    def closing(self, results: Results[Classification], source: Path, out: Path) -> Sequence[str]:
        """Where predictions and pictures are."""
        part = f"of the first {SHEET_IMAGES} " if len(results) > SHEET_IMAGES else ""
        return [f"predictions: {out / PREDICTIONS}, pictures: {out / PICTURES}, on one sheet {part}{out / SHEET}"]
