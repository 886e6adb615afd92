"""`fastitpn predict` with a detector."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from fastitpn.inference.prediction import PREDICTIONS, Prediction, Writer
from fastitpn.inference.results import Results
from fastitpn.inference.sources import source_root
from fastitpn.inference.written_pictures import save_picture
from fastitpn.tasks.detect.pre_annotations import write_cvat, write_label_studio
from fastitpn.tasks.detect.predictor import DetectPredictor
from fastitpn.tasks.detect.result_files import CROPS, YOLO, write_crops, write_yolo
from fastitpn.tasks.detect.results import Detections, ImageDetections
from fastitpn.tasks.detect.tracking import LEAST_SCORE, Tracker

COCO, PICTURES = "coco.json", "pictures"


def _coco(results: Results[ImageDetections], source: Path, out: Path) -> Path:
    """Where `DetectPrediction.finish` wrote it."""
    return out / COCO


class DetectPrediction(Prediction[ImageDetections]):
    """Pictures and videos with boxes and masks, and what is in them as annotations.

    Args:
        predictor: What finds the objects.
        batch: Images in one batch.
        min_score: Least score of an object.
        track: Follow the objects of videos from frame to frame.
    """

    pictures = (PICTURES, CROPS, YOLO)
    writers: ClassVar[Mapping[str, Writer]] = {
        **Prediction.writers,
        "coco": _coco,
        "yolo": write_yolo,
        "label_studio": write_label_studio,
        "cvat": write_cvat,
        "crops": write_crops,
    }
    predictor: DetectPredictor

    def __init__(self, predictor: DetectPredictor, *, batch: int = 1, min_score: float, track: bool = False):
        super().__init__(predictor, batch=batch, min_score=min_score)
        self._min_score, self._track = min_score, track
        self._tracker: Tracker | None = None
        self.for_videos = "track=true" if track else ""

    @property
    def frame_options(self) -> dict[str, Any]:
        """Those of images; to follow objects, unsure ones are needed too."""
        least = min(self._min_score, LEAST_SCORE) if self._track else self._min_score
        return {**self.options, "min_score": least}

    def begin_video(self) -> None:
        """Begin to count objects."""
        self._tracker = Tracker(self._min_score) if self._track else None

    def next_frame(self, result: ImageDetections) -> ImageDetections:
        """A frame's objects with the numbers of their tracks."""
        return result if self._tracker is None else self._tracker.follow(result)

    def about_video(self) -> str:
        """How many objects were followed."""
        return "" if self._tracker is None else f"{self._tracker.count} objects were followed"

    def heads(self) -> tuple[str, ...]:
        """Size, and what was found with which score."""
        return ("px", f"found with a score from {self.options['min_score']:g} on")

    def row(self, result: ImageDetections) -> tuple[object, ...]:
        """Size, and how many objects of which class."""
        return f"{result.size[0]}x{result.size[1]}", result.summary()

    def write(self, result: ImageDetections, out: Path, name: Path) -> ImageDetections:
        """Write the image with boxes and masks."""
        save_picture(result.draw(), out / PICTURES / name)
        return result

    def finish(self, results: Results[ImageDetections], source: Path, out: Path) -> None:
        """Write the annotations."""
        assert isinstance(results, Detections)
        results.to_coco(out / COCO, category_ids=self.predictor.category_ids, root=source_root(source))

    def closing(self, results: Results[ImageDetections], source: Path, out: Path) -> Sequence[str]:
        """Where everything is, and how to train on it."""
        return [
            f"images: {out / PICTURES}, predictions: {out / PREDICTIONS}, in COCO's format: {out / COCO}",
            f"to correct and train on: finetune detect data={out / COCO} images={source_root(source)}",
        ]
