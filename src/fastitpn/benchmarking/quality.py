"""What a trained classifier gets right with each acceleration."""

from typing import TYPE_CHECKING

from fastitpn.benchmarking.candidates import Candidate
from fastitpn.config import BenchmarkConfig
from fastitpn.data.folders import labelled
from fastitpn.data.readable import check_readable
from fastitpn.engine.evaluate import evaluate_classifier
from fastitpn.engine.progress import ProgressDisplay
from fastitpn.engine.trained_model import load_classifier
from fastitpn.errors import InputError

if TYPE_CHECKING:
    from lightning.fabric import Fabric

PIXELS_PER_BATCH = 32 * 224 * 224


class Quality:
    """A classifier and labelled images, checked before anything is measured.

    Raises:
        InputError: There is no classifier, or the images are not of its classes or cannot be read.
    """

    def __init__(self, config: BenchmarkConfig):
        assert config.checkpoint is not None
        assert config.data is not None
        self._workers = config.workers
        self._classifier = load_classifier(config.checkpoint)
        self._images = labelled(config.data, self._classifier.classes)
        check_readable(self._images.paths)

    def measure(self, candidates: list[Candidate], px: int, fabric: "Fabric") -> dict[str | None, float]:
        """Top-1 in percent by name of acceleration; those that do not fit the model are left out."""
        batch = max(1, PIXELS_PER_BATCH // px**2)
        found: dict[str | None, float] = {}
        ours = [candidate.acceleration for candidate in candidates if candidate.acceleration is not None]
        with ProgressDisplay(f"{px} px: quality", step=0, steps=len(ours)) as display:
            for number, acceleration in enumerate(ours, 1):
                try:
                    self._classifier.model.set_acceleration(acceleration)
                except InputError:  # its row says so
                    continue
                evaluation = evaluate_classifier(
                    self._classifier, self._images, fabric, px=px, batch=batch, workers=self._workers
                )
                found[acceleration.name] = evaluation.metrics["top1"]
                display.advance(number)
        return found
