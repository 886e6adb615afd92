"""`fastitpn predict` with a detector."""

from collections.abc import Sequence
from pathlib import Path

from fastitpn.inference.prediction import PREDICTIONS, Prediction
from fastitpn.inference.results import Results
from fastitpn.inference.sources import source_root
from fastitpn.inference.written_pictures import save_picture
from fastitpn.tasks.detect.predictor import DetectPredictor
from fastitpn.tasks.detect.results import Detections, ImageDetections

COCO, PICTURES = "coco.json", "pictures"


class DetectPrediction(Prediction[ImageDetections]):
    """Pictures and videos with boxes and masks, and what is in them as annotations.

    Args:
        predictor: What finds the objects.
        batch: Images in one batch.
        min_score: Least score of an object.
    """

    pictures = (PICTURES,)
    predictor: DetectPredictor

    def __init__(self, predictor: DetectPredictor, *, batch: int = 1, min_score: float):
        super().__init__(predictor, batch=batch, min_score=min_score)

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
