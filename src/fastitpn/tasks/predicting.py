"""`fastitpn predict` for every task, and `fastitpn.load`. The checkpoint says for which task."""

import os
from pathlib import Path
from typing import Any

from fastitpn.config.types import Fit
from fastitpn.console import say
from fastitpn.data.images.folders import left_out
from fastitpn.data.images.reading import reads_images
from fastitpn.data.images.videos import EXTENSIONS as VIDEOS
from fastitpn.inference.predicting import run_prediction
from fastitpn.inference.predictor import ImagePredictor
from fastitpn.inference.results import Results
from fastitpn.models.frame_reuse import FrameReuse
from fastitpn.runs.acceleration import AccelerationLike
from fastitpn.runs.trained_model import TrainedCheckpoint, open_checkpoint
from fastitpn.tasks.keys import PredictConfig
from fastitpn.tasks.loading import load_trained, no_network
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.spec import TaskSpec


@reads_images
def run_predict(config: PredictConfig, checkpoint: TrainedCheckpoint) -> Results[Any]:
    """Predict with a checkpoint, and write what its task writes to `out`.

    Args:
        config: Keys of the checkpoint's task.
        checkpoint: The trained model's checkpoint, which `config.checkpoint` names.

    Raises:
        InputError: The checkpoint or the source does not fit, or no image can be read.
    """
    spec: TaskSpec[Any, Any, Any] = TASKS.spec_of(checkpoint.task, checkpoint.path)
    trained = spec.resized(
        load_trained(checkpoint, config.acceleration, fit=config.fit, compile=config.compile), config
    )
    if isinstance(config.source, Path) and (left := left_out(config.source).line(but=VIDEOS)):
        say(left)
    prediction = spec.prediction(trained, config)
    prediction.choose_writers(config.write or ())
    prediction.predictor.pixel_range = trained.about.pixel_range
    if config.reuse:
        if trained.fast_itpn is None:
            raise no_network("reuse=true", trained.path)
        prediction.reuse = FrameReuse(trained.fast_itpn, config.reuse_threshold)
    return run_prediction(
        prediction,
        config.source,
        config.out,
        image=config.image,
        workers=config.workers,
        watched=config.watch,
        timeout_s=config.timeout_s,
    )


def load(
    checkpoint: str | os.PathLike[str],
    acceleration: AccelerationLike | None = None,
    *,
    device: str = "auto",
    precision: str = "auto",
    fit: Fit = "exact",
    compile: bool = False,
) -> ImagePredictor[Any]:
    """Make a predictor from a checkpoint of `fastitpn finetune`, or from what was exported of one.

    Args:
        checkpoint: A .ckpt file, a run directory (its best checkpoint), or an exported folder, which its own runtime
            runs on the CPU.
        acceleration: "off", "balanced", "fast" or an `Acceleration`; None for the one it was trained with. A line says
            if it is another.
        device: `auto` (the GPU if there is one), `cpu`, `cuda`, `cuda:N` or `mps`.
        precision: `auto` (bf16-mixed on a GPU that has it, else 32-true), `32-true`, `bf16-mixed` or `16-mixed`.
        fit: Of an exported folder, images of another size than its graph takes: "exact" is an error, "stretch" brings
            both sides to it.
        compile: Compile trunk and pyramid with torch.compile, for each size of batches that comes again.

    Returns:
        What predicts for images as the checkpoint's task does: a `Predictor` names their classes, a `SegmentPredictor`
        gives each of their pixels one, a `DetectPredictor` finds objects in them.

    Raises:
        InputError: It cannot be read, wants to run code, or is no model with its classes; or there is no such
            acceleration, or it does not fit the model.
    """
    opened = open_checkpoint(checkpoint)
    TASKS.keys_for("predict", opened.task, opened.path)  # says so where there is nothing to predict
    spec: TaskSpec[Any, Any, Any] = TASKS.spec_of(opened.task, opened.path)
    trained = load_trained(opened, acceleration, fit=fit, compile=compile)
    predictor = spec.predictor(trained, device=device, precision=precision)
    predictor.pixel_range = trained.about.pixel_range
    return predictor
