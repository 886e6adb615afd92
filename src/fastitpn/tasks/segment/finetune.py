"""`fastitpn finetune segment`: from images with masks to a network that gives each pixel a class, or a segment."""

import logging
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from fastitpn.config import to_dict
from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.data.segmentation.datasets import SegmentDataset
from fastitpn.data.segmentation.images import segmentation_split
from fastitpn.data.segmentation.transforms import SegmentationTrain
from fastitpn.models.weights.file import WeightsFile
from fastitpn.runs.run import Run
from fastitpn.runs.run_directory import prepare
from fastitpn.tasks.segment.config import SegmentConfig
from fastitpn.tasks.segment.evaluation import folders_of
from fastitpn.tasks.segment.model import Segmenter, create_segmenter
from fastitpn.tasks.segment.report import write_segment_report
from fastitpn.tasks.segment.task import SegmentTask
from fastitpn.tasks.segment.views import Views
from fastitpn.tasks.start import Start, find_start, start_backbone
from fastitpn.training.loaders import cache_mib, masked_loader, on_device, training_loader
from fastitpn.training.loop import fit
from fastitpn.training.processes.devices import build_fabric
from fastitpn.training.processes.failure_propagation import ending_together
from fastitpn.training.setup import fit_settings, steps_between, total_steps

logger = logging.getLogger(__name__)

_MOST_POINTS = 12544
"""Pixels that mask2former's losses look at for each mask, as published; of small crops one for each cell at 1/4."""

_WIDTH_OF_PYRAMID = 2
"""Channels inside of a head whose width is not given, as a multiple of the pyramid's."""


@ending_together
def run_segment(config: SegmentConfig) -> Run:
    """Fine-tune for segmentation, or continue an interrupted run of the same configuration.

    Raises:
        InputError: The data, the weights or the folder of the run do not fit.
    """
    folders = replace(folders_of(config), panoptic=config.panoptic)
    train, val = segmentation_split(folders, config.val, val_ratio=config.val_ratio, seed=config.seed)
    task = build_task(config, train.classes)
    fabric = build_fabric(config.device, config.devices, config.nodes, config.precision, config.strategy)
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(task)
    run = prepare(config.out, to_dict(config), verb="finetune segment", rank=fabric.global_rank)
    transform = SegmentationTrain(
        px=task.views.px,
        mean=config.mean,
        std=config.std,
        resize=config.resize,
        scale_range=config.scale_range,
        max_class_ratio=config.max_class_ratio,
        hflip=config.hflip,
        photometric=config.photometric,
    )
    dataset = SegmentDataset(train, transform, seed=config.seed, cache_mib=cache_mib(config.workers))
    val_loader = masked_loader(val, config.mean, config.std, workers=config.workers)

    def evaluate(model: nn.Module) -> dict[str, float]:
        return task.evaluate(on_device(val_loader, fabric), model)

    settings = fit_settings(
        config,
        len(train),
        schedule=config.schedule,
        layer_decay=config.layer_decay,
        ema=config.ema,
        evaluate_every=steps_between(config.eval_every_epochs, config, len(train)),
        best_metric="pq" if config.panoptic else "miou",
    )
    if not run.complete:
        counts = f"{len(train)} images to train, {len(val)} to validate, {len(train.classes.names)} classes"
        logger.info(counts)
        loader = training_loader(dataset, config, fabric, total_steps(config, len(train)))
        fit(task, fabric=fabric, settings=settings, make_loader=loader, evaluate=evaluate, run=run)
    if fabric.is_global_zero:
        write_segment_report(run, config, val, fabric)
        run.say_complete()
    return Run(config.out)


def build_task(config: SegmentConfig, classes: SegmentationClasses) -> SegmentTask:
    """The network of a configuration, with its start weights, as a task."""
    start = find_start(config)
    head = {"name": config.head, "arguments": _head_arguments(config, start), "features": config.features}
    network = create_segmenter(
        start.model, head, len(classes.names), frozen=config.freeze, drop_path_rate=config.drop_path
    )
    network.backbone.set_acceleration(start.acceleration)
    if start.file is not None:
        inside = _of_the_head(start.file)
        start_backbone(network.backbone, start, start.file, but=inside, strict=config.weights_strict)
        if start.file.checkpoint.get("task") == "segment":
            _take_over(network, start.file, inside, head, classes)
    description = {
        "model": start.model,
        "head": head,
        "classes": list(classes.names),
        "colors": [list(color) for color in classes.colors],
        "masks": {"ignore_index": classes.ignore_index, "reduce_zero_label": classes.reduce_zero_label}
        | ({"things": list(classes.things)} if classes.things is not None else {}),
        "normalisation": {"mean": list(config.mean), "std": list(config.std)},
        "px": start.px,
        "resize": config.resize,
    }
    return SegmentTask(network, description, Views(px=start.px, resize=config.resize))


def _head_arguments(config: SegmentConfig, start: Start) -> dict[str, Any]:
    if config.head == "linear":
        return {}
    dim = start.pyramid_dim
    if config.head == "mask2former":
        points = min(_MOST_POINTS, (start.px // 4) ** 2)
        return {"width": config.head_width or dim, "queries": config.queries, "points": points}
    return {
        "width": config.head_width or _WIDTH_OF_PYRAMID * dim,
        "auxiliary_width": dim,
        "auxiliary_weight": config.auxiliary_weight,
    }


def _of_the_head(file: WeightsFile) -> dict[str, Tensor]:
    """Of a segmentation its head's tensors, of anything else none."""
    if file.checkpoint.get("task") != "segment":
        return {}
    return {key: tensor for key, tensor in file.tensors.items() if key.startswith("head.")}


def _take_over(
    network: Segmenter,
    file: WeightsFile,
    inside: dict[str, Tensor],
    head: dict[str, Any],
    classes: SegmentationClasses,
) -> None:
    """From a segmentation with the same head the head; of other classes all but its last layer."""
    if file.checkpoint.get("head") != head:
        print("the head of those weights is another: it starts fresh", flush=True)
        return
    same = tuple(file.checkpoint.get("classes", ())) == classes.names
    own = network.head.class_layers
    taken = {key.removeprefix("head."): tensor for key, tensor in inside.items()}
    taken = {key: tensor for key, tensor in taken.items() if same or not key.startswith(own)}
    network.head.load_state_dict(taken, strict=same)
    print(f"the head is taken over{'' if same else ', but for its last layer: that is for other classes'}", flush=True)
