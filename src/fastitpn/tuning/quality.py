"""What a model gets right with a setting, on some of the images or on all."""

import random
import time
from typing import TYPE_CHECKING, Any

from fastitpn.errors import InputError
from fastitpn.models.acceleration.settings import PRESETS, Acceleration
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.evaluation import Evaluation
from fastitpn.tasks.keys import EvaluateConfig
from fastitpn.tasks.spec import TaskSpec
from fastitpn.tuning.loss import Loss, paired_loss

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Quality:
    """A trained model with labelled images.

    Args:
        spec: Task of the model.
        trained: The model, whose acceleration is switched; it moves to the device.
        images: What `TaskSpec.evaluation_images` gave.
        fabric: Device and precision.
        config: How to look at the images.
        seed: Decides which images are among the first ones, and the samples of intervals.

    Attributes:
        metric: What is measured, the first of the task's metrics that the images can tell.
        num_images: How many images there are.
        seconds_per_image: How long the last evaluation took for each image.

    Raises:
        InputError: There are no images, or the task has no metric.
    """

    def __init__(
        self,
        spec: TaskSpec[Any, Any, Any],
        trained: Trained[Any, Any],
        images: Any,
        fabric: "Fabric",
        config: EvaluateConfig,
        *,
        seed: int,
    ):
        self._spec, self._trained, self._images, self._fabric = spec, trained, images, fabric
        self._config, self._seed = config, seed
        self.num_images = len(images)
        self.metrics = spec.metrics(trained.about)
        if not self.metrics or not self.num_images:
            lacking = "metrics" if self.num_images else "labelled images"
            raise InputError(
                f"there are no {lacking}, so nobody can say what an acceleration loses",
                where=config.data if self.metrics else trained.path,
                expected="labelled images, and a task that measures something on them",
                fix="data=FOLDER of labelled images",
            )
        self.metric = self.metrics[0]
        self._order = random.Random(seed).sample(range(self.num_images), self.num_images)
        self.seconds_per_image = 0.0
        self._plain: dict[int, Evaluation] = {}

    def plain(self, count: int) -> Evaluation:
        """The evaluation of the plain model on the first images of the order, which is kept."""
        if count not in self._plain:
            evaluation = self._evaluate(self._trained, PRESETS["off"], count)
            self.metric = next((metric for metric in self.metrics if metric.name in evaluation.metrics), self.metric)
            self._plain[count] = evaluation
        return self._plain[count]

    def loss(self, setting: Acceleration, count: int, trained: Trained[Any, Any] | None = None) -> Loss:
        """What is lost with a setting on the first images of the order.

        Args:
            setting: A setting that the model takes.
            count: How many images.
            trained: Another model, which was trained with it; None for the same one.
        """
        plain = self.plain(count)
        other = self._evaluate(trained or self._trained, setting, count)
        return paired_loss(plain, other, self.metric, seed=self._seed)

    def _evaluate(self, trained: Trained[Any, Any], setting: Acceleration, count: int) -> Evaluation:
        trained.backbone.set_acceleration(setting)
        began = time.monotonic()
        images = self._images
        if count < self.num_images:
            images = self._spec.select(images, sorted(self._order[:count]))
        config = self._config
        evaluation = self._spec.evaluate(
            trained, images, self._fabric, config=config, batch=config.batch, workers=config.workers
        )
        self.seconds_per_image = (time.monotonic() - began) / count
        return evaluation
