"""From a checkpoint to a model that is ready to use, whatever its task is."""

import os
from typing import Any

from fastitpn.runs.acceleration import AccelerationLike, choose_acceleration, trained_acceleration
from fastitpn.runs.trained_model import Trained, TrainedCheckpoint, open_checkpoint
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.spec import TaskSpec


def load_trained(
    source: str | os.PathLike[str] | TrainedCheckpoint,
    acceleration: AccelerationLike | None = None,
    *,
    task: str | None = None,
) -> Trained[Any, Any]:
    """Find, read and build a trained model.

    Args:
        source: A checkpoint, or a run directory (its best checkpoint); or what `open_checkpoint` made of it.
        acceleration: To run it with; None for the one it was trained with. A line says if it is another.
        task: The task that it must be of; None for any.

    Raises:
        InputError: There is none, it cannot be read, wants to run code, or is of another task; or the acceleration
            does not exist, or does not fit the model.
    """
    checkpoint = source if isinstance(source, TrainedCheckpoint) else open_checkpoint(source)
    spec: TaskSpec[Any, Any, Any] = TASKS.spec(task) if task else TASKS.spec_of(checkpoint.task, checkpoint.path)
    path, content = checkpoint.path, checkpoint.content
    checkpoint.check_task(spec.name, spec.noun)
    about = checkpoint.describe(spec.description)
    model = checkpoint.build(lambda: spec.create(about, weight_init="skip"), f"the weights of {spec.parts}")
    backbone = spec.backbone(model)
    backbone.set_acceleration(choose_acceleration(acceleration, trained_acceleration(content, path)))
    return Trained(path=path, model=model, about=about, backbone=backbone, content=content)
