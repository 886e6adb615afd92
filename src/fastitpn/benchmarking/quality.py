"""What a trained model gets right with each acceleration."""

from typing import TYPE_CHECKING, Any

from fastitpn.benchmarking.candidates import Candidate
from fastitpn.benchmarking.config import BenchmarkConfig
from fastitpn.errors import InputError
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.runs.trained_model import open_checkpoint
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.spec import TaskSpec
from fastitpn.training.metric import Metric
from fastitpn.training.progress import ProgressDisplay

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PIXELS_PER_BATCH = 32 * 224 * 224


class Quality:
    """A trained model and labelled images, checked before anything is measured.

    Args:
        config: With a checkpoint and data.

    Attributes:
        metrics: What is measured: all that the task declares.

    Raises:
        InputError: There is no trained model, or the images are not of its classes or cannot be read.
    """

    def __init__(self, config: BenchmarkConfig):
        assert config.checkpoint is not None
        checkpoint = open_checkpoint(config.checkpoint)
        self._spec: TaskSpec[Any, Any, Any] = TASKS.spec_of(checkpoint.task, checkpoint.path)
        keys = TASKS.keys_for("evaluate", checkpoint.task, checkpoint.path)
        self._trained = load_trained(checkpoint)
        self.metrics: tuple[Metric, ...] = self._spec.metrics(self._trained.about)
        asked = keys(checkpoint=config.checkpoint, data=config.data)
        self._images = self._spec.evaluation_images(asked, self._trained)
        self._workers = config.workers

    def accelerate(self, acceleration: Acceleration) -> None:
        """Switch the model.

        Raises:
            InputError: They do not go together.
        """
        self._trained.backbone.set_acceleration(acceleration)

    @property
    def of_a_graph(self) -> bool:
        """Whether it is an exported graph that is measured, which has but one acceleration."""
        return self._trained.fast_itpn is None

    def measure(self, px: int, fabric: "Fabric") -> dict[str, float]:
        """The metrics by name, in their units, with images looked at in a size; without masks, none of masks."""
        batch = max(1, PIXELS_PER_BATCH // px**2)
        evaluation = self._spec.evaluate(self._trained.at(px), self._images, fabric, batch=batch, workers=self._workers)
        names = [metric.name for metric in self.metrics]
        return {name: evaluation.metrics[name] for name in names if name in evaluation.metrics}


def measure_quality(
    quality: Quality, candidates: list[Candidate], px: int, fabric: "Fabric"
) -> dict[str | None, dict[str, float]]:
    """The metrics by name of acceleration; accelerations that do not fit the model are left out.

    Of an exported folder they are those of its graph alone: the networks beside it have random weights.
    """
    if quality.of_a_graph:
        graphs = [candidate for candidate in candidates if candidate.exported is not None]
        return {graph.acceleration_name: quality.measure(px, fabric) for graph in graphs}
    measured: dict[str | None, dict[str, float]] = {}
    ours = [candidate.acceleration for candidate in candidates if candidate.acceleration is not None]
    with ProgressDisplay(f"{px} px: quality", step=0, steps=len(ours)) as display:
        for number, acceleration in enumerate(ours, 1):
            try:
                quality.accelerate(acceleration)
            except InputError:  # its row says so
                continue
            measured[acceleration.name] = quality.measure(px, fabric)
            display.advance(number)
    return measured
