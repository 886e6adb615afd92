"""`fastitpn pretrain`: from a folder of images to a trunk and pyramid."""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastitpn.console import note, say
from fastitpn.data.datasets import MixedSizes, PretrainDataset, collate
from fastitpn.data.feature_shards import FeatureShards
from fastitpn.data.images.folders import left_out
from fastitpn.data.images.readable import check_readable
from fastitpn.data.images.reading import reads_images, settle_range
from fastitpn.data.images.sources import FileSource, ImageSource, open_images
from fastitpn.data.images.transforms import CropPair, TeacherView
from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.layers.cells import PATCH
from fastitpn.models.registry import create_model
from fastitpn.models.weights.file import read_weights
from fastitpn.pretraining.gram import GramAnchor
from fastitpn.pretraining.masking import BlockMasks, RandomMasks
from fastitpn.pretraining.model import OBJECTIVES, wrap
from fastitpn.pretraining.predictions import LEVELS
from fastitpn.pretraining.teachers.base import IMAGE, Teacher
from fastitpn.pretraining.teachers.keys import Student, create_teacher
from fastitpn.pretraining.teachers.pixel import PixelKeys
from fastitpn.pretraining.teachers.several_teachers import SeveralTeachers
from fastitpn.runs.acceleration import choose_acceleration, trained_acceleration
from fastitpn.runs.loggers.opened import check_loggers
from fastitpn.runs.run import Run
from fastitpn.runs.run_directory import prepare
from fastitpn.tasks.auto_keys import with_device, with_fitting_batch, with_listed_batch, with_published_rate
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.description import PretrainDescription
from fastitpn.tasks.pretrain.pixel import build_pixel_task
from fastitpn.tasks.pretrain.probe import KNN, build_probe, probe_files
from fastitpn.tasks.pretrain.report import shown_batch, write_pretrain_report
from fastitpn.tasks.pretrain.snapshots import SNAPSHOTS, take_snapshots
from fastitpn.tasks.pretrain.statistics import after_statistics
from fastitpn.tasks.pretrain.task import PretrainTask
from fastitpn.tasks.pretrain.worker_targets import WithTargets, cores_left_by, runs_ahead
from fastitpn.tasks.progress_report import ProgressReport
from fastitpn.training.loaders import cache_mib, training_loader
from fastitpn.training.loop import fit
from fastitpn.training.plan import describe_plan, faster_keys
from fastitpn.training.processes.devices import build_fabric
from fastitpn.training.processes.failure_propagation import propagate_failures
from fastitpn.training.processes.fully_sharded import shards
from fastitpn.training.published_rate import PublishedRate
from fastitpn.training.setup import check_model, fit_settings, global_batch, seed_start, start_from, total_steps

RATES = ({"": PublishedRate(lr=1.5e-3, images=2048)}, {"": PublishedRate(lr=1.5e-4, images=256)})
"""Published learning rates: with a teacher of features, and with pixels."""

logger = logging.getLogger(__name__)


@propagate_failures
@reads_images
def run_pretrain(config: PretrainConfig) -> Run:
    """Pre-train, or continue an interrupted run of the same configuration.

    Raises:
        InputError: The data, the teacher, the weights or the folder of the run do not fit.
    """
    check_loggers(config.loggers)
    config, find_batch = with_listed_batch(with_device(config.settled()))
    images = open_images(config.data)
    files = images.files if isinstance(images, FileSource) else []
    say(f"{len(images)} images to learn from")
    check_readable(files)
    pixel_range = settle_range(config.image, images.some())
    task = build_task(config)
    task.about = replace(task.about, pixel_range=pixel_range)
    dataset = build_dataset(config, images, task.teacher)
    fabric = build_fabric(config.device, config.devices, config.nodes, config.precision, config.strategy)
    if find_batch:
        config = with_fitting_batch(config, task, dataset, collate, fabric)
    config = with_published_rate(config, config.model, RATES[isinstance(config.teacher, PixelKeys)])
    probe = build_probe(config, fabric)
    known = files or images.files
    with prepare(
        config.out, config, files=[*known, *probe_files(config)] if known else (), rank=fabric.global_rank
    ) as run:
        every = math.ceil(config.probe.every_epochs * len(images) / global_batch(config))
        settings = fit_settings(
            config,
            len(images),
            evaluate_every=max(1, every),
            best_metric=None,
            metrics=(KNN,),
            faster=faster_keys(config, model=config.model, px=config.model_px),
        )
        ahead = runs_ahead(task.teacher, config, fabric)
        to_batch = WithTargets(task.teacher, task.trained_model.names) if ahead else collate
        loader = training_loader(
            dataset, config, fabric, total_steps(config, len(images)), to_batch=to_batch, num_sizes=len(config.sizes)
        )
        if isinstance(task.teacher, SeveralTeachers):
            loader = after_statistics(loader, task.teacher, dataset, fabric, batch=config.batch)
        if not run.complete:
            if left := left_out(config.data).line():
                logger.info(left)
            logger.info("%s images, %s", len(images), task.teacher.described(config.teacher.name))
            if fabric.is_global_zero:
                seen: dict[str, Any] = {"model": config.model, "px": config.model_px, "num_images": len(images)}
                note(describe_plan(config, **seen, fabric=fabric))
            watch = None
            if config.pictures:
                batch = shown_batch(dataset)
                folder = run.directory / SNAPSHOTS
                watch = take_snapshots(folder, batch, steps=settings.steps, to_device=fabric.to_device)
            run.refresh = ProgressReport(
                run, config, title="Pre-training", steps=settings.steps, metrics=(KNN,), device=fabric.device
            )
            with cores_left_by(config.workers if ahead else 0):
                fit(task, fabric=fabric, settings=settings, make_loader=loader, evaluate=probe, watch=watch, run=run)
        if fabric.is_global_zero and run.complete:
            if shards(fabric):
                task = build_task(config)  # a whole one, which looks without the other processes
            write_pretrain_report(run, config, task, dataset, fabric)
            run.say_complete()
    return Run(config.out)


def build_task(config: PretrainConfig) -> PretrainTask:
    """Student and teacher of a configuration, with their start values."""
    check_model(config.model)
    seed_start(config.seed)
    if isinstance(config.teacher, PixelKeys):
        return build_pixel_task(config, config.teacher)
    arguments: dict[str, Any] = {"img_size": config.model_px, "drop_path_rate": config.drop_path}
    if config.registers:
        arguments["num_registers"] = config.registers
    file = read_weights(config.weights, **config.choice) if config.weights is not None else None
    if file is not None and config.blocks is not None:
        arguments["depths"] = file.depths
    backbone = create_model(
        config.model,
        pyramid=config.objective != "trunk",
        num_classes=0,
        global_pool="",
        stop_grad_patch_embed=True,
        weight_init="pretrain",
        **arguments,
    )
    teacher = build_teacher(config, backbone)
    keys: dict[str, Any] = {"teacher_dim": teacher.dim, "norm": config.norm}
    weights = {**dict(zip(LEVELS, config.level_weights, strict=True)), "auxiliary": config.auxiliary}
    loss: str | dict[str, str] = config.loss
    if isinstance(teacher, SeveralTeachers):
        keys["teachers"], weights, loss = teacher.predictions(), teacher.weights(), teacher.losses()
    if config.objective != "merged":
        keys |= {"objective": config.objective, "teacher_dim": teacher.dim_of(OBJECTIVES[config.objective].names[0])}
    if config.auxiliary:
        keys["auxiliary_dim"] = teacher.dim_of("auxiliary")
    if config.predictor == "mlp":
        keys["mlp_predictor"] = True
    student = wrap(backbone, **{"objective": "merged", **keys})
    trained = None
    if file is not None:
        trained = trained_acceleration(file.checkpoint, file.source)
        start_from(
            student,
            file,
            name=config.model,
            fix="weights=FILE of a pre-training with the same objective, predictor and width of teacher, or leave "
            "weights out",
        )
        teacher.begin(student)
    acceleration = choose_acceleration(config.acceleration, trained)
    if config.auxiliary and not acceleration.off:
        raise InputError(
            f"auxiliary={config.auxiliary:g} with acceleration={acceleration.name}",
            where="auxiliary",
            expected="0 with an acceleration: tokens that left give no auxiliary prediction",
            fix="auxiliary=0 or acceleration=off",
        )
    backbone.set_acceleration(acceleration)
    for px in config.sizes:
        acceleration.check(
            backbone.num_attention_blocks, (px // PATCH, px // PATCH), class_token=False, relative_position=False
        )
    about = PretrainDescription(
        model={"name": config.model, "arguments": {**arguments, **keys}},
        mean=config.mean,
        std=config.std,
        px=config.model_px,
        teacher={"name": config.teacher.name, "px": teacher.px},
    )
    anchor = None
    if config.gram.weight and config.gram.anchor == "snapshot":
        anchor = GramAnchor(backbone, every=config.gram.every, known=file is not None)
    return PretrainTask(
        student,
        teacher,
        about,
        loss=loss,
        loss_on=config.loss_on,
        weights=weights,
        gram_weight=config.gram.weight,
        gram_anchor=anchor,
    )


def build_teacher(config: PretrainConfig, backbone: FastITPN) -> Teacher:
    """The teacher of a configuration, checked against the student's grid."""
    student = Student(
        backbone=backbone,
        px=config.model_px,
        grid=config.model_px // PATCH,
        mean=config.mean,
        std=config.std,
        levels=config.objective == "per_level",
        loss=config.loss,
    )
    return create_teacher(config.teacher, student)


def build_dataset(
    config: PretrainConfig, images: ImageSource | Sequence[Path], teacher: Teacher
) -> PretrainDataset | MixedSizes:
    """Two views of each image, and a mask; of a mix of sizes, for each of them."""
    source = images if isinstance(images, ImageSource) else FileSource(images, config.data)
    datasets = [_dataset(config, source, teacher, px) for px in config.sizes]
    return datasets[0] if len(datasets) == 1 else MixedSizes(datasets)


def _dataset(config: PretrainConfig, source: ImageSource, teacher: Teacher, px: int) -> PretrainDataset:
    """Views of one size."""
    first, *others = teacher.views() or [(IMAGE, teacher)]  # the pixels need none
    stored = first[1].folder is not None

    def px_of(of: Teacher) -> int:
        return px if of.sees_student or of.folder is not None else of.px

    views = CropPair(
        px=px,
        teacher_px=px_of(first[1]),
        mean=config.mean,
        std=config.std,
        teacher_mean=config.mean if stored else first[1].mean,
        teacher_std=config.std if stored else first[1].std,
        crop_scale=config.crop_scale,
        crop_aspect=config.crop_aspect,
        hflip=config.hflip,
        color_jitter=config.color_jitter,
        more_px=[px_of(other) for _, other in others if other.folder is None],
    )

    def features(of: Teacher) -> FeatureShards | None:
        if of.folder is None:
            return None
        names = [source.name(index) for index in range(len(source))]
        return FeatureShards(of.folder, names, side=px // PATCH * of.upsample)

    return PretrainDataset(
        source,
        views,
        build_masks(config, px),
        seed=config.seed,
        cache_mib=cache_mib(config.workers),
        features=features(first[1]),
        taught=bool(teacher.views()),
        more={
            key: features(other) or TeacherView(px=px_of(other), mean=other.mean, std=other.std)
            for key, other in others
        },
    )


def build_masks(config: PretrainConfig, px: int) -> BlockMasks | RandomMasks:
    """What draws the masks of images of a size."""
    side, mask = px // PATCH, config.mask
    if mask.ratio == 0:
        return RandomMasks((side, side), 0)
    hidden = min(side * side - 1, max(1, round(mask.ratio * side * side)))
    if mask.kind == "random":
        return RandomMasks((side, side), hidden)
    return BlockMasks(
        (side, side),
        hidden,
        min_block=mask.min_block,
        max_block=mask.max_block,
        min_aspect=mask.min_aspect,
        exact=mask.exact,
    )
