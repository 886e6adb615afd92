"""`fastitpn finetune detect`: from images with boxes and masks to a network that finds things."""

import logging
from typing import Any

from torch import Tensor, nn

from fastitpn.config import to_dict
from fastitpn.data.detection.datasets import DetectDataset, collate_detect
from fastitpn.data.detection.images import DetectionClasses, DetectionImages, detection_split, left_out_of
from fastitpn.data.detection.problems import describe_left_out
from fastitpn.data.detection.transforms import DetectTrain
from fastitpn.models.weights.file import WeightsFile
from fastitpn.models.weights.official_names import BACKBONE
from fastitpn.runs.run import Run
from fastitpn.runs.run_directory import prepare
from fastitpn.tasks.detect.config import DetectConfig
from fastitpn.tasks.detect.evaluation import detection_loader, folder_of_images
from fastitpn.tasks.detect.heads.base import Detector
from fastitpn.tasks.detect.model import WITH_MASKS, create_detector
from fastitpn.tasks.detect.report import write_detect_report
from fastitpn.tasks.detect.task import DetectTask
from fastitpn.tasks.start import Start, find_start, start_backbone
from fastitpn.training.loaders import cache_mib, on_device, training_loader
from fastitpn.training.loop import fit
from fastitpn.training.processes.devices import build_fabric
from fastitpn.training.processes.failure_propagation import ending_together
from fastitpn.training.setup import fit_settings, steps_between, total_steps

logger = logging.getLogger(__name__)

_LONGEST = 5 / 3
"""Longest side of an image over `px`, as in COCO's usual 800 x 1333."""
_PUBLISHED_PX = 800
_ANCHOR_SCALES, _REGIONS, _PROPOSALS = (4.0, 8.0), (64, 512), (200, 1000)
"""Of the R-CNNs, where none are given: in proportion to px, from the least to the most, which is published for 800."""
_QUERIES, _LAYERS = 300, 6
"""Of dino, where none are given."""
_MASKS, _MOST_POINTS = 100, 12544
"""Of mask2former: queries where none are given; points as published, of small images one for each cell at 1/4."""
_SMALL = 2
"""Images more than so many times as large as they are looked at are worth a word."""


@ending_together
def run_detect(config: DetectConfig) -> Run:
    """Fine-tune for detection, or continue an interrupted run of the same configuration.

    Raises:
        InputError: The data, the weights or the folder of the run do not fit.
    """
    train, val = detection_split(
        config.data,
        config.val,
        images=folder_of_images(config.images, config.data),
        val_ratio=config.val_ratio,
        seed=config.seed,
        on_error=config.on_error,
        with_masks=config.detector in WITH_MASKS,
    )
    task = build_task(config, train.classes)
    px, max_px = task.description["px"], task.description["max_px"]
    _say_if_small(train, px)
    fabric = build_fabric(config.device, config.devices, config.nodes, config.precision, config.strategy)
    run = prepare(config.out, to_dict(config), verb="finetune detect", rank=fabric.global_rank)
    transform = DetectTrain(
        px=config.multi_scale or (px,),
        max_px=max_px,
        mean=config.mean,
        std=config.std,
        square_px=px if config.jitter else None,
        scale_range=config.jitter or (1.0, 1.0),
        hflip=config.hflip,
        photometric=config.photometric,
    )
    dataset = DetectDataset(train, transform, seed=config.seed, cache_mib=cache_mib(config.workers))
    val_loader = detection_loader(val, px, max_px, config.mean, config.std, batch=config.batch, workers=config.workers)

    def evaluate(model: nn.Module) -> dict[str, float]:
        return task.evaluate(on_device(val_loader, fabric), model)

    settings = fit_settings(
        config,
        len(train),
        schedule=config.schedule,
        layer_decay=config.layer_decay,
        ema=config.ema,
        evaluate_every=steps_between(config.eval_every_epochs, config, len(train)),
        best_metric="mask_ap" if task.trained_model.has_masks else "box_ap",
    )
    if not run.complete:
        logger.info("%s images to train, %s to validate, %s classes", len(train), len(val), len(train.classes))
        problems, left_out = left_out_of(train, val)
        if problems:
            logger.info("on_error=skip: %s", describe_left_out(problems, left_out))
        steps = total_steps(config, len(train))
        # A batch is as wide as its widest image and as high as its highest; jitter makes squares of all.
        upright = None if config.jitter else [height > width for height, width in train.sizes]
        loader = training_loader(dataset, config, fabric, steps, to_batch=collate_detect, kinds=upright)
        fit(task, fabric=fabric, settings=settings, make_loader=loader, evaluate=evaluate, run=run)
    if fabric.is_global_zero:
        write_detect_report(run, config, val, fabric)
        run.say_complete()
    return Run(config.out)


def build_task(config: DetectConfig, classes: DetectionClasses) -> DetectTask:
    """The network of a configuration, with its start weights, as a task."""
    start = find_start(config)
    detector = {"name": config.detector, "arguments": _detector_arguments(config, start)}
    network = create_detector(start.model, detector, len(classes), drop_path_rate=config.drop_path)
    network.backbone.set_acceleration(start.acceleration)
    if start.file is not None:
        inside = _of_the_detector(start.file, network)
        start_backbone(network.backbone, start, start.file, but=inside, strict=config.weights_strict)
        if start.file.checkpoint.get("task") == "detect":
            _take_over(network, start.file, inside, detector, classes)
    description = {
        "model": start.model,
        "detector": detector,
        "classes": list(classes.names),
        "category_ids": list(classes.ids),
        "normalisation": {"mean": list(config.mean), "std": list(config.std)},
        "px": start.px,
        "max_px": start.px if config.jitter else config.max_px or round(_LONGEST * start.px),
    }
    return DetectTask(network, description)


def _detector_arguments(config: DetectConfig, start: Start) -> dict[str, Any]:
    """In the published proportions to the pyramid's channels (256) and the size of the images (800)."""
    if config.detector == "dino":
        layers = config.layers or _LAYERS
        return {"queries": config.queries or _QUERIES, "encoder_layers": layers, "decoder_layers": layers}
    dim, px = start.pyramid_dim, start.px
    if config.detector == "mask2former":
        both = {"encoder_layers": config.layers, "decoder_layers": config.layers} if config.layers else {}
        points = min(_MOST_POINTS, (px // 4) ** 2)
        return {"width": dim, "queries": config.queries or _MASKS, "points": points, **both}
    sizes = {
        "anchor_scale": config.anchor_scale or _in_proportion(px, *_ANCHOR_SCALES),
        "regions": config.regions or round(_in_proportion(px, *_REGIONS)),
        "proposals": round(_in_proportion(px, *_PROPOSALS)),
        "box_width": 4 * dim,
    }
    return {**sizes, "mask_width": dim} if config.detector in WITH_MASKS else sizes


def _in_proportion(px: int, least: float, most: float) -> float:
    return min(most, max(least, most * px / _PUBLISHED_PX))


def _of_the_detector(file: WeightsFile, network: Detector) -> dict[str, Tensor]:
    """Of a detection the tensors that the detector has beside its backbone, of anything else none."""
    if file.checkpoint.get("task") != "detect":
        return {}
    own = {key for key in network.state_dict() if not key.startswith(BACKBONE)}
    return {key: tensor for key, tensor in file.tensors.items() if key in own}


def _take_over(
    network: Detector,
    file: WeightsFile,
    inside: dict[str, Tensor],
    detector: dict[str, Any],
    classes: DetectionClasses,
) -> None:
    """From a run with the same detector the detector; of other classes all but its last layers."""
    if file.checkpoint.get("detector") != detector:
        print("the detector of those weights is another: it starts fresh", flush=True)
        return
    same = tuple(file.checkpoint.get("classes", ())) == classes.names
    fresh = BACKBONE if same else (BACKBONE, *network.class_layers)
    state = {key: tensor for key, tensor in network.state_dict().items() if key.startswith(fresh)}
    network.load_state_dict({**inside, **state})  # all that is not fresh must be there
    rest = "" if same else ", but for its last layers: those are for other classes"
    print(f"the detector is taken over{rest}", flush=True)


def _say_if_small(images: DetectionImages, px: int) -> None:
    """A hint to those who did not think of px: small things vanish where large images are looked at in a small size."""
    shorter = sorted(min(size) for size in images.sizes)[len(images) // 2]
    if shorter > _SMALL * px:
        print(
            f"the images are {shorter} px high or wide, and are looked at in {px} px: a larger px finds smaller things",
            flush=True,
        )
