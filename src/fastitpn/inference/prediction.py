"""What a task does with many images: a predictor, and what is written of its results."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from fastitpn.errors import InputError
from fastitpn.inference.predictor import ImagePredictor
from fastitpn.inference.results import Result, Results
from fastitpn.inference.sources import source_root
from fastitpn.models.frame_reuse import FrameReuse

ResultT = TypeVar("ResultT", bound=Result)

PREDICTIONS, SHEET = "predictions.jsonl", "contact_sheet.png"
CSV = "predictions.csv"
_FRAMES_AT_ONCE = 8


def write_csv(results: Results[Any], source: Path, out: Path) -> Path:
    """Write `predictions.csv`.

    Raises:
        InputError: It could not be written.
    """
    return results.to_csv(out / CSV, root=source_root(source))


Writer = Callable[[Results[Any], Path, Path], Path]
"""Writes results of images, given what they were predicted from and the folder `out`; says where they are."""


class Prediction(Generic[ResultT]):
    """What a task does with many images: a predictor, and what is written of its results.

    Args:
        predictor: Predicts an image.
        batch: Images in one batch.
        **options: Options of the predictor's calls.

    Attributes:
        columns: Heads of the table that is printed, after the image's name.
        reuse: What keeps of a video what did not change; None computes each frame anew.
        pictures: Folders of pictures that are written inside of `out`; the first one is of pictures to look at.
        writers: What else can be written of the results of images, by the words of `write=`.
        write_as: What is written of them.
        for_videos: The key, if any, that was asked for and is of use for videos alone.
    """

    columns: ClassVar[tuple[str, ...]] = ("prediction",)
    pictures: ClassVar[tuple[str, ...]] = ()
    writers: ClassVar[Mapping[str, Writer]] = {"csv": write_csv}

    def __init__(self, predictor: ImagePredictor[ResultT], *, batch: int = 1, **options: Any):
        self.predictor, self.batch, self.options = predictor, batch, options
        self.reuse: FrameReuse | None = None
        self.write_as: tuple[str, ...] = ()
        self.for_videos = ""

    def choose_writers(self, names: Sequence[str]) -> None:
        """Set what else is written of results.

        Raises:
            InputError: This task has no such form.
        """
        if missing := [name for name in names if name not in self.writers]:
            raise InputError(
                f"write: results of this task have no form {', '.join(missing)}",
                expected=" or ".join(self.writers),
                fix=f"write={','.join(name for name in names if name in self.writers) or next(iter(self.writers))}",
            )
        self.write_as = tuple(dict.fromkeys(names))

    @property
    def frames(self) -> int:
        """Frames of a video in one batch."""
        return 1 if self.reuse else min(self.batch, _FRAMES_AT_ONCE)

    @property
    def frame_options(self) -> dict[str, Any]:
        """Options of the predictor's calls for the frames of a video."""
        return self.options

    def begin_video(self) -> None:
        """Forget what was remembered of another video."""

    def next_frame(self, result: ResultT) -> ResultT:
        """A frame's result with what is known from the frames before."""
        return result

    def about_video(self) -> str:
        """Words about a video that was predicted; "" if there is nothing to say."""
        return ""

    def write_more(self, results: Results[ResultT], source: Path, out: Path) -> Iterator[str]:
        """Write the forms that were chosen, and say where they are."""
        for name in self.write_as:
            yield f"{name}: {self.writers[name](results, source, out)}"

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
