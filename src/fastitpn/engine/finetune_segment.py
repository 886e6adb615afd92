"""`fastitpn finetune segment`: from images with masks to a network that gives each pixel a class, or a segment."""

import logging
import math
from dataclasses import replace
from typing import Any

from torch import nn

from fastitpn.config import SegmentConfig, to_dict
from fastitpn.data.segmentation import segmentation_split
from fastitpn.data.segmentation_classes import SegmentationClasses
from fastitpn.data.segmentation_datasets import SegmentDataset
from fastitpn.data.segmentation_transforms import SegmentationTrain
from fastitpn.engine.acceleration import choose_acceleration, trained_acceleration
from fastitpn.engine.devices import build_fabric
from fastitpn.engine.ending_together import ending_together
from fastitpn.engine.evaluate_segment import folders_of
from fastitpn.engine.loaders import cache_mib, masked_loader, on_device, training_loader
from fastitpn.engine.loop import fit
from fastitpn.engine.run import Run
from fastitpn.engine.run_directory import prepare
from fastitpn.engine.segment_report import write_segment_report
from fastitpn.engine.setup import (
    fit_settings,
    global_batch,
    name_and_px,
    seed_start,
    start_from,
    total_steps,
)
from fastitpn.models.registry import ARCHITECTURES
from fastitpn.models.weights_file import WeightsFile, read_weights
from fastitpn.tasks.segment.model import Segmenter, create_segmenter
from fastitpn.tasks.segment.task import SegmentTask
from fastitpn.tasks.segment.views import Views

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
        evaluate_every=max(1, math.ceil(config.eval_every_epochs * len(train) / global_batch(config))),
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
    seed_start(config.seed)
    file = read_weights(config.weights) if config.weights is not None else None
    name, px = name_and_px(config, file)
    arguments: dict[str, Any] = {"img_size": px}
    if file is not None:
        own = ("img_size", "in_chans", "pyramid", "fc_norm")  # what the images and the task decide
        arguments |= {k: v for k, v in file.arguments().items() if k not in own}
    model = {"name": name, "arguments": arguments}
    head = {"name": config.head, "arguments": _head_arguments(config, name, px, arguments), "features": config.features}
    network = create_segmenter(model, head, len(classes.names), frozen=config.freeze, drop_path_rate=config.drop_path)
    trained = trained_acceleration(file.checkpoint, file.source) if file is not None else None
    network.backbone.set_acceleration(choose_acceleration(config.acceleration, trained))
    if file is not None:
        _start(network, file, name, head, classes, strict=config.weights_strict)
    elif not config.scratch:
        print("no weights given: training starts from random ones (scratch=true says so on purpose)", flush=True)
    description = {
        "model": model,
        "head": head,
        "classes": list(classes.names),
        "colors": [list(color) for color in classes.colors],
        "masks": {"ignore_index": classes.ignore_index, "reduce_zero_label": classes.reduce_zero_label}
        | ({"things": list(classes.things)} if classes.things is not None else {}),
        "normalisation": {"mean": list(config.mean), "std": list(config.std)},
        "px": px,
        "resize": config.resize,
    }
    return SegmentTask(network, description, Views(px=px, resize=config.resize))


def _head_arguments(config: SegmentConfig, name: str, px: int, arguments: dict[str, Any]) -> dict[str, Any]:
    if config.head == "linear":
        return {}
    dim = (ARCHITECTURES[name] | arguments).get("pyramid_dim", 256)
    if config.head == "mask2former":
        points = min(_MOST_POINTS, (px // 4) ** 2)
        return {"width": config.head_width or dim, "queries": config.queries, "points": points}
    return {
        "width": config.head_width or _WIDTH_OF_PYRAMID * dim,
        "auxiliary_width": dim,
        "auxiliary_weight": config.auxiliary_weight,
    }


def _start(
    network: Segmenter,
    file: WeightsFile,
    name: str,
    head: dict[str, Any],
    classes: SegmentationClasses,
    *,
    strict: bool,
) -> None:
    """Backbone and, from a segmentation with the same head, the head; of other classes all but its last layer."""
    inside = {key: tensor for key, tensor in file.tensors.items() if key.startswith("head.")}
    is_segmentation = file.checkpoint.get("task") == "segment"
    if is_segmentation:
        tensors = {key: tensor for key, tensor in file.tensors.items() if key not in inside}
        file = replace(file, tensors=tensors, origin={key: file.origin[key] for key in tensors})
    fix = "weights_strict=false to let the rest start fresh, or weights=FILE of a pre-training, which has a pyramid"
    start_from(network.backbone, file, name=name, fix=fix, strict=strict)
    if not is_segmentation:
        return
    if file.checkpoint.get("head") != head:
        print("the head of those weights is another: it starts fresh", flush=True)
        return
    same = tuple(file.checkpoint.get("classes", ())) == classes.names
    own = network.head.class_layers
    taken = {key.removeprefix("head."): tensor for key, tensor in inside.items()}
    taken = {key: tensor for key, tensor in taken.items() if same or not key.startswith(own)}
    network.head.load_state_dict(taken, strict=same)
    print(f"the head is taken over{'' if same else ', but for its last layer: that is for other classes'}", flush=True)
