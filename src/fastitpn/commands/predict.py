"""`fastitpn predict`: what a trained model says of images and videos."""

import os
from typing import TYPE_CHECKING, Any

from fastitpn.commands.of_checkpoint import keys_of_all, keys_of_task
from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.tasks.keys import PredictConfig

if TYPE_CHECKING:
    from fastitpn.inference.results import Results


def verb() -> Verb:
    """The verb, with the keys of all tasks that are registered."""
    return Verb(
        config=keys_of_all("predict", PredictConfig),
        sentence="Predict classes, masks or objects in images and videos.",
        example="fastitpn predict runs/classify photos",
        run="fastitpn.commands.predict:run",
    )


def predict(checkpoint: str | os.PathLike[str], source: str | os.PathLike[str], **keys: Any) -> "Results[Any]":
    """Name the classes of an image or of all in a folder, of each of their pixels or of the objects in them, in `out`.

    Args:
        checkpoint: Checkpoint file, run directory or exported folder.
        source: An image (any that Pillow reads, and HEIC with an extra); a video (MP4, MOV, MKV, WebM, AVI, MPEG or a
            moving GIF, read with PyAV: `pip install 'fastitpn[video]'`); a folder of images and videos; a pattern of
            images with `*`, `?` or `**` for any folders, such as "photos/**/*.jpg"; the number of a camera, such as 0;
            or the address of a stream, such as "rtsp://host/path".
        **keys: As on the command line (`fastitpn predict --help`): `out`, `top_k`, `batch`, `device`, ...

    Returns:
        One result for each image; `videos` has the files that were written for each video or stream.

    Raises:
        InputError: A key, the checkpoint or the source is wrong.
    """
    given = {"checkpoint": checkpoint, "source": source, **keys}
    return run(build(keys_of_all("predict", PredictConfig), given))


def run(config: PredictConfig) -> "Results[Any]":
    """Open the checkpoint, and predict as its task does."""
    from fastitpn.runs.trained_model import open_checkpoint
    from fastitpn.tasks.predicting import run_predict

    checkpoint = open_checkpoint(config.checkpoint)
    return run_predict(keys_of_task(config, "predict", checkpoint.task, checkpoint.path), checkpoint)
