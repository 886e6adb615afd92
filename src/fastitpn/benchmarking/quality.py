"""What a trained model gets right with each acceleration."""

from typing import TYPE_CHECKING, Any, Protocol

from fastitpn.benchmarking.candidates import Candidate
from fastitpn.benchmarking.config import BenchmarkConfig
from fastitpn.data.images.folders import labelled
from fastitpn.data.images.readable import check_readable
from fastitpn.data.segmentation.images import MaskFolders, segmentation_images
from fastitpn.errors import InputError
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.runs.trained_model import TrainedCheckpoint, load_classifier, open_checkpoint
from fastitpn.tasks.classify.evaluation import evaluate_classifier
from fastitpn.tasks.segment.evaluation import evaluate_segmenter
from fastitpn.tasks.segment.trained import load_segmenter
from fastitpn.tasks.segment.views import Views
from fastitpn.training.progress import ProgressDisplay

if TYPE_CHECKING:
    from lightning.fabric import Fabric

PIXELS_PER_BATCH = 32 * 224 * 224


class Quality(Protocol):
    """A trained model and labelled images, checked before anything is measured."""

    def accelerate(self, acceleration: Acceleration) -> None:
        """Switch the model.

        Raises:
            InputError: They do not go together.
        """

    def figures(self, px: int, fabric: "Fabric") -> dict[str, Any]:
        """In percent, by name of a field of `Row`."""


def find_quality(config: BenchmarkConfig) -> Quality:
    """What is measured of the checkpoint, by its task.

    Raises:
        InputError: There is no trained model, or the images are not of its classes or cannot be read.
    """
    assert config.checkpoint is not None
    checkpoint = open_checkpoint(config.checkpoint)
    kind = SegmenterQuality if checkpoint.task == "segment" else ClassifierQuality
    return kind(config, checkpoint)


def measure_quality(
    quality: Quality, candidates: list[Candidate], px: int, fabric: "Fabric"
) -> dict[str | None, dict[str, Any]]:
    """The figures by name of acceleration; those that do not fit the model are left out."""
    found: dict[str | None, dict[str, Any]] = {}
    ours = [candidate.acceleration for candidate in candidates if candidate.acceleration is not None]
    with ProgressDisplay(f"{px} px: quality", step=0, steps=len(ours)) as display:
        for number, acceleration in enumerate(ours, 1):
            try:
                quality.accelerate(acceleration)
            except InputError:  # its row says so
                continue
            found[acceleration.name] = quality.figures(px, fabric)
            display.advance(number)
    return found


class ClassifierQuality:
    """A classifier and images of its classes.

    Raises:
        InputError: As `find_quality`.
    """

    def __init__(self, config: BenchmarkConfig, checkpoint: TrainedCheckpoint):
        assert config.data is not None
        self._workers = config.workers
        self._classifier = load_classifier(checkpoint)
        self._images = labelled(config.data, self._classifier.classes)
        check_readable(self._images.paths)

    def accelerate(self, acceleration: Acceleration) -> None:
        """Switch the model."""
        self._classifier.model.set_acceleration(acceleration)

    def figures(self, px: int, fabric: "Fabric") -> dict[str, Any]:
        """Top-1."""
        batch = max(1, PIXELS_PER_BATCH // px**2)
        evaluation = evaluate_classifier(
            self._classifier, self._images, fabric, px=px, batch=batch, workers=self._workers
        )
        return {"top1": evaluation.metrics["top1"]}


class SegmenterQuality:
    """A segmentation network and images with masks, which it looks at as in its training.

    Raises:
        InputError: As `find_quality`.
    """

    def __init__(self, config: BenchmarkConfig, checkpoint: TrainedCheckpoint):
        assert config.data is not None
        self._workers = config.workers
        self._segmenter = load_segmenter(checkpoint)
        self._images = segmentation_images(MaskFolders(data=config.data), self._segmenter.classes)

    def accelerate(self, acceleration: Acceleration) -> None:
        """Switch the model."""
        self._segmenter.model.backbone.set_acceleration(acceleration)

    def figures(self, px: int, fabric: "Fabric") -> dict[str, Any]:
        """Mean IoU at the original size."""
        views = Views(px=px, resize=self._segmenter.resize)
        evaluation = evaluate_segmenter(self._segmenter, self._images, fabric, views, workers=self._workers)
        return {"miou": evaluation.metrics["miou"]}
