"""What a task does with many images: a predictor, and what is written of its results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from fastitpn.inference.predictor import ImagePredictor
from fastitpn.inference.results import Result, Results
from fastitpn.models.frame_reuse import FrameReuse

ResultT = TypeVar("ResultT", bound=Result)

PREDICTIONS, SHEET = "predictions.jsonl", "contact_sheet.png"
_FRAMES_AT_ONCE = 8


class Prediction(Generic[ResultT]):
    """What a task does with many images: a predictor, and what is written of its results.

    Args:
        predictor: Predicts an image.
        batch: Images in one batch.
        **options: Options of the predictor's calls.

    Attributes:
        columns: Heads of the table that is printed, after the image's name.
        reuse: What keeps of a video what did not change; None computes each frame anew.
        pictures: Folders of PNGs that `write` fills, inside of `out`; the first one is of pictures to look at.
    """

    columns: ClassVar[tuple[str, ...]] = ("prediction",)
    pictures: ClassVar[tuple[str, ...]] = ()

    def __init__(self, predictor: ImagePredictor[ResultT], *, batch: int = 1, **options: Any):
        self.predictor, self.batch, self.options = predictor, batch, options
        self.reuse: FrameReuse | None = None

    @property
    def frames(self) -> int:
        """Frames of a video in one batch."""
        return 1 if self.reuse else min(self.batch, _FRAMES_AT_ONCE)

    def heads(self) -> tuple[str, ...]:
        """Heads of the printed table, after the image's name."""
        return self.columns

    def row(self, result: ResultT) -> tuple[object, ...]:
        """A line of the printed table, after the image's name."""
        return (result.summary(),)

    def write(self, result: ResultT, out: Path, name: Path) -> ResultT:
        """Write the pictures of an image.

        Args:
            result: What was predicted.
            out: Folder for the results.
            name: Path of the image's PNGs, inside of a folder of `pictures`.

        Returns:
            The result, perhaps with what is large on the disk.
        """
        return result

    def finish(self, results: Results[ResultT], source: Path, out: Path) -> None:
        """Write what is about all images."""

    def closing(self, results: Results[ResultT], source: Path, out: Path) -> Sequence[str]:
        """Lines that say where everything is."""
        return [f"predictions: {out / PREDICTIONS}, pictures: {out / SHEET}"]
