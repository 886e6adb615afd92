"""The verbs that train and measure, as functions with the keys of the command line."""

import os
from pathlib import Path
from typing import Any

from fastitpn.config import (
    CacheFeaturesConfig,
    ClassifyConfig,
    CompareConfig,
    DataConvertConfig,
    DataShardConfig,
    DemoConfig,
    DetectConfig,
    EvaluateConfig,
    PretrainConfig,
    SegmentConfig,
    build,
)
from fastitpn.data.detection.converters import Converted
from fastitpn.errors import InputError
from fastitpn.runs.run import Run
from fastitpn.tasks.classify.evaluation import Evaluation, run_evaluate
from fastitpn.tasks.detect.evaluation import DetectEvaluation
from fastitpn.tasks.segment.evaluation import SegmentEvaluation
from fastitpn.tasks.segment.panoptic_evaluation import PanopticEvaluation

TASKS = ("classify", "segment", "detect")


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
    from fastitpn.tasks.pretrain.pretrain import run_pretrain

    return run_pretrain(build(PretrainConfig, {"data": data, **keys}))


def cache_features(*, data: str | os.PathLike[str], teacher: Any, **keys: Any) -> Path:
    """Store a teacher's features once, for pre-training with `teacher="features:FOLDER"`.

    Args:
        data: Images, as for `pretrain`.
        teacher: "timm:NAME", or a dict with `name`, `weights`, `px`, `projection`.
        **keys: As on the command line (`fastitpn pretrain cache-features --help`): `batch`, `out`, ...

    Returns:
        The folder.

    Raises:
        InputError: A key, the data, the teacher or the folder is wrong.
    """
    from fastitpn.tasks.pretrain.cache_features import run_cache_features

    return run_cache_features(build(CacheFeaturesConfig, {"data": data, "teacher": teacher, **keys}))


def shard_data(*, data: str | os.PathLike[str], **keys: Any) -> list[Path]:
    """Write a folder of images into tar shards (`fastitpn data shard`).

    Args:
        data: Folder of images, or a list of them.
        **keys: As on the command line (`fastitpn data shard --help`): `shard_mib`, `out`.

    Returns:
        The shards; their folder is `data` for `pretrain`.

    Raises:
        InputError: A key, the data or the folder is wrong.
    """
    from fastitpn.commands.shard import run_shard

    return run_shard(build(DataShardConfig, {"data": data, **keys}))


def convert_data(*, data: str | os.PathLike[str], **keys: Any) -> Converted:
    """Write the annotations of a Pascal VOC or YOLO data set in COCO's format (`fastitpn data convert`).

    Args:
        data: Its folder.
        **keys: As on the command line (`fastitpn data convert --help`): `form`, `copy`, `on_error`, `out`.

    Returns:
        Files, classes and counts; the folder of the files is `data` for `finetune("detect")`.

    Raises:
        InputError: A key, the data or the folder is wrong.
    """
    from fastitpn.commands.convert import run_convert

    return run_convert(build(DataConvertConfig, {"data": data, **keys}))


def finetune(task: str, *, data: str | os.PathLike[str], **keys: Any) -> Run:
    """Fine-tune for a task.

    Args:
        task: "classify", "segment" or "detect".
        data: To classify, a folder with a sub-folder of images for each class, or a CSV file; to segment, a folder
            with the folders images and masks; to detect, a folder of images with annotations in COCO's format.
        **keys: As on the command line (`fastitpn finetune TASK --help`): `weights`, `px`, `epochs`, `out`, ...

    Returns:
        The run.

    Raises:
        InputError: A key, the data, the weights or the folder of the run is wrong.
    """
    if task not in TASKS:
        raise InputError(
            f"no task {task!r}", expected="classify, segment or detect", fix="finetune('classify', data=...)"
        )
    if task == "segment":
        from fastitpn.tasks.segment.finetune import run_segment

        return run_segment(build(SegmentConfig, {"data": data, **keys}))
    if task == "detect":
        from fastitpn.tasks.detect.finetune import run_detect

        return run_detect(build(DetectConfig, {"data": data, **keys}))
    from fastitpn.tasks.classify.finetune import run_classify

    return run_classify(build(ClassifyConfig, {"data": data, **keys}))


def evaluate(
    checkpoint: str | os.PathLike[str], data: str | os.PathLike[str], **keys: Any
) -> Evaluation | SegmentEvaluation | PanopticEvaluation | DetectEvaluation:
    """Measure a trained model on labelled images, or on images with masks or boxes, as its checkpoint says.

    Args:
        checkpoint: Checkpoint file or run directory.
        data: As for `finetune` of its task.
        **keys: As on the command line: `px`, `batch`, `out`, ...
    """
    return run_evaluate(build(EvaluateConfig, {"checkpoint": checkpoint, "data": data, **keys}))


def report(kind: str, *runs: str | os.PathLike[str], **keys: Any) -> Path:
    """Write a page about runs.

    Args:
        kind: "compare": figures, curves and settings side by side.
        *runs: Two run directories or more; differences are to the first.
        **keys: As on the command line (`fastitpn report compare --help`): `names`, `out`.

    Returns:
        The page.

    Raises:
        InputError: There is no such kind, or a folder is no run.
    """
    from fastitpn.commands.compare import run_compare

    if kind != "compare":
        raise InputError(f"no report {kind!r}", expected="compare", fix="report('compare', run, run)")
    return run_compare(build(CompareConfig, {"runs": runs, **keys}))


def demo(**keys: Any) -> Run:
    """The demonstration: see `fastitpn demo --help`.

    Returns:
        The run of the pre-trained and fine-tuned classifier.
    """
    from fastitpn.commands.demo import run_demo

    return run_demo(build(DemoConfig, keys))
