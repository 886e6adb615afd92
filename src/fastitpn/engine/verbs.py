"""The verbs that train and measure, as functions with the keys of the command line."""

import os
from typing import Any

from fastitpn.config import ClassifyConfig, DemoConfig, EvaluateConfig, PretrainConfig, build
from fastitpn.engine.evaluate import Evaluation, run_evaluate
from fastitpn.engine.run import Run
from fastitpn.errors import InputError

TASKS = ("classify",)


def pretrain(*, data: str | os.PathLike[str], **keys: Any) -> Run:
    """Pre-train trunk and pyramid on images without labels.

    Args:
        data: Folder of images, or a list of them.
        **keys: As on the command line (`fastitpn pretrain --help`): `model`, `teacher`, `px`, `epochs`, `out`, ...;
            nested ones as a dict, `teacher={"name": "timm:resnet18", "weights": FILE}`.

    Returns:
        The run: its directory, metrics and checkpoints.

    Raises:
        InputError: A key, the data or the folder of the run is wrong.
    """
    from fastitpn.engine.pretrain import run_pretrain

    return run_pretrain(build(PretrainConfig, {"data": data, **keys}))


def finetune(task: str, *, data: str | os.PathLike[str], **keys: Any) -> Run:
    """Fine-tune for a task.

    Args:
        task: "classify".
        data: Folder with a sub-folder of images for each class, or a CSV file.
        **keys: As on the command line (`fastitpn finetune classify --help`): `weights`, `px`, `epochs`, `out`, ...

    Returns:
        The run.

    Raises:
        InputError: A key, the data, the weights or the folder of the run is wrong.
    """
    from fastitpn.engine.finetune import run_classify

    if task not in TASKS:
        raise InputError(f"no task {task!r}", expected=" or ".join(TASKS), fix="finetune('classify', data=...)")
    return run_classify(build(ClassifyConfig, {"data": data, **keys}))


def evaluate(checkpoint: str | os.PathLike[str], data: str | os.PathLike[str], **keys: Any) -> Evaluation:
    """Measure a trained classifier on labelled images.

    Args:
        checkpoint: Checkpoint file or run directory.
        data: Folder with a sub-folder of images for each class, or a CSV file.
        **keys: As on the command line: `px`, `batch`, `out`, ...
    """
    return run_evaluate(build(EvaluateConfig, {"checkpoint": checkpoint, "data": data, **keys}))


def demo(**keys: Any) -> Run:
    """The demonstration: see `fastitpn demo --help`.

    Returns:
        The run of the pre-trained and fine-tuned classifier.
    """
    from fastitpn.engine.demo import run_demo

    return run_demo(build(DemoConfig, keys))
