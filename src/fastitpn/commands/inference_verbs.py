"""The verbs `predict` and `inspect` as functions, with the keys of the command line."""

import os
from typing import Any

from fastitpn.commands.inspection import Inspection, run_inspect
from fastitpn.commands.predict import run_predict
from fastitpn.config import InspectConfig, PredictConfig, build
from fastitpn.inference.results import Predictions
from fastitpn.tasks.detect.results import Detections
from fastitpn.tasks.segment.results import Segmentations


def predict(
    checkpoint: str | os.PathLike[str], source: str | os.PathLike[str], **keys: Any
) -> Predictions | Segmentations | Detections:
    """Name the classes of an image or of all in a folder, of each of their pixels or of the things in them, in `out`.

    Args:
        checkpoint: Checkpoint file or run directory.
        source: An image, or a folder of images.
        **keys: As on the command line: `out`, `top_k`, `batch`, `device`, ...

    Returns:
        One result for each image.

    Raises:
        InputError: A key, the checkpoint or the source is wrong.
    """
    return run_predict(build(PredictConfig, {"checkpoint": checkpoint, "source": source, **keys}))


def inspect(file: str | os.PathLike[str], **keys: Any) -> Inspection:
    """Say what a file of weights holds and what loading it would do, and print it.

    Args:
        file: Weights (.pt, .pth, .safetensors, .ckpt), or a run directory.
        **keys: As on the command line: `model`.

    Raises:
        InputError: A key or the file is wrong.
    """
    return run_inspect(build(InspectConfig, {"file": file, **keys}))
