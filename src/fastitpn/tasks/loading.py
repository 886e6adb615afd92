"""From a checkpoint to a model that is ready to use, whatever its task is."""

import os
from pathlib import Path
from typing import Any

from fastitpn.config.types import Fit
from fastitpn.errors import InputError
from fastitpn.exporting.exported import open_exported
from fastitpn.inference.compilation import compile_backbone
from fastitpn.runs.acceleration import AccelerationLike, check_acceleration, choose_acceleration, trained_acceleration
from fastitpn.runs.trained_model import Trained, TrainedCheckpoint, open_checkpoint
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.spec import TaskSpec


def load_trained(
    source: str | os.PathLike[str] | TrainedCheckpoint,
    acceleration: AccelerationLike | None = None,
    *,
    task: str | None = None,
    fit: Fit = "exact",
    compile: bool = False,
) -> Trained[Any, Any]:
    """Find, read and build a trained model.

    Args:
        source: A checkpoint, a run directory (its best checkpoint) or an exported folder; or what `open_checkpoint`
            made of it.
        acceleration: To run it with; None for the one it was trained with. A line says if it is another.
        task: The task that it must be of; None for any.
        fit: What an exported folder does with images of another size than its graph takes.
        compile: Compile trunk and pyramid with torch.compile.

    Raises:
        InputError: There is none, it cannot be read, wants to run code, or is of another task; or the acceleration
            does not exist, or does not fit the model, or is another one than an exported graph has.
    """
    checkpoint = source if isinstance(source, TrainedCheckpoint) else open_checkpoint(source)
    spec: TaskSpec[Any, Any, Any] = TASKS.spec(task) if task else TASKS.spec_of(checkpoint.task, checkpoint.path)
    path, content = checkpoint.path, checkpoint.content
    checkpoint.check_task(spec.name, spec.noun)
    about = checkpoint.describe(spec.description)
    trained = trained_acceleration(content, path)
    if checkpoint.exported is not None:
        check_acceleration(acceleration, trained, path)
        if compile:
            raise no_network("compile=true", path)
        graph = open_exported(path, checkpoint.exported, fit)
        return Trained(
            path=path,
            model=spec.exported(graph, about).eval(),
            about=about.at(graph.px if graph.px != about.px else None),
            acceleration=trained,
            fast_itpn=None,
            content=content,
        )
    model = checkpoint.build(lambda: spec.create(about, weight_init="skip"), f"the weights of {spec.parts}")
    if fit != "exact":
        raise InputError(
            f"fit={fit}: not used for a checkpoint, which accepts images of any size",
            where=path,
            expected="an exported folder",
            fix="leave it out",
        )
    backbone = spec.backbone(model)
    backbone.set_acceleration(choose_acceleration(acceleration, trained))
    if compile:
        compile_backbone(backbone)
    return Trained(
        path=path,
        model=model,
        about=about,
        acceleration=backbone.acceleration,
        fast_itpn=backbone,
        content=content,
    )


def no_network(key: str, path: Path) -> InputError:
    """The error for a key that needs the network itself, where an exported folder is given."""
    return InputError(
        f"{key}: not used for an exported folder, which its own runtime runs",
        where=path,
        expected="a run or a checkpoint",
        fix="leave it out",
    )
