"""`fastitpn predict` with a classifier."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from fastitpn.inference.prediction import PREDICTIONS, SHEET, Prediction
from fastitpn.inference.results import SHEET_IMAGES, Results
from fastitpn.tasks.classify.results import Classification


class ClassifyPrediction(Prediction[Classification]):
    """The likeliest classes of images, and of each frame of a video in a corner of it."""

    columns: ClassVar[tuple[str, ...]] = ("class", "score", "then")

    def row(self, result: Classification) -> tuple[object, ...]:
        """The likeliest class, its score, and the next two."""
        others = zip(result.labels[1:3], result.scores[1:3], strict=True)
        return result.label, result.score, ", ".join(f"{label} {score:.2f}" for label, score in others)

    def closing(self, results: Results[Classification], source: Path, out: Path) -> Sequence[str]:
        """Where predictions and pictures are."""
        part = f", pictures of the first {SHEET_IMAGES}" if len(results) > SHEET_IMAGES else ", pictures"
        return [f"predictions: {out / PREDICTIONS}{part}: {out / SHEET}"]
