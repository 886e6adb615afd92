"""`fastitpn pretrain`: from a folder of images to a trunk and pyramid."""

import logging
from pathlib import Path
from typing import Any

from fastitpn.config import to_dict
from fastitpn.config.runs import PretrainConfig
from fastitpn.data.datasets import PretrainDataset
from fastitpn.data.folders import unlabelled
from fastitpn.data.readable import check_readable
from fastitpn.data.transforms import TwoViews
from fastitpn.engine.devices import build_fabric
from fastitpn.engine.loaders import cache_mib, training_loader
from fastitpn.engine.loop import fit
from fastitpn.engine.pretrain_report import write_pretrain_report
from fastitpn.engine.run import Run
from fastitpn.engine.run_directory import prepare
from fastitpn.engine.setup import check_model, fit_settings, seed_start, start_from, total_steps
from fastitpn.models.registry import create_model
from fastitpn.pretraining.masking import BlockMasks
from fastitpn.pretraining.model import PretrainingModel
from fastitpn.pretraining.teachers import Teacher, create_teacher
from fastitpn.tasks.pretrain import PretrainTask

logger = logging.getLogger(__name__)


def run_pretrain(config: PretrainConfig) -> Run:
    """Pre-train, or continue an interrupted run of the same configuration.

    Raises:
        InputError: The data, the teacher, the weights or the folder of the run do not fit.
    """
    paths = unlabelled(config.data)
    check_readable(paths)
    task = build_task(config)
    dataset = build_dataset(config, paths, task.teacher)
    fabric = build_fabric(config.device, config.devices, config.nodes, config.precision)
    run = prepare(config.out, to_dict(config), verb="pretrain", rank=fabric.global_rank)
    settings = fit_settings(config, len(paths))
    loader = training_loader(dataset, config, fabric, total_steps(config, len(paths)))
    if not run.complete:
        logger.info("%s images, teacher %s of width %s", len(paths), config.teacher.name, task.teacher.dim)
        fit(task, fabric=fabric, settings=settings, make_loader=loader, run=run)
    if fabric.is_global_zero:
        write_pretrain_report(run, config, task, dataset, fabric)
    return Run(config.out)


def build_task(config: PretrainConfig) -> PretrainTask:
    """Student and teacher of a configuration, with their start values."""
    check_model(config.model)
    seed_start(config.seed)
    arguments: dict[str, Any] = {"img_size": config.px, "drop_path_rate": config.drop_path}
    backbone = create_model(
        config.model,
        pyramid=True,
        num_classes=0,
        global_pool="",
        stop_grad_patch_embed=True,
        weight_init="pretrain",
        **arguments,
    )
    teacher = create_teacher(
        config.teacher.name,
        student=backbone,
        px=config.px,
        mean=config.mean,
        std=config.std,
        weights=config.teacher.weights,
        teacher_px=config.teacher.px,
        momentum=(config.teacher.momentum_start, config.teacher.momentum),
        standardise=config.teacher.standardise,
    )
    student = PretrainingModel(backbone, teacher_dim=teacher.dim, norm=config.norm)
    if config.weights is not None:
        start_from(
            student,
            config.weights,
            name=config.model,
            fix="weights=FILE of a pre-training with a teacher of the same width, or leave weights out",
        )
        teacher.begin(student)
    description = {
        "model": {"name": config.model, "arguments": {**arguments, "teacher_dim": teacher.dim, "norm": config.norm}},
        "classes": None,
        "normalisation": {"mean": list(config.mean), "std": list(config.std)},
        "px": config.px,
        "teacher": {"name": config.teacher.name, "px": teacher.px},
    }
    return PretrainTask(student, teacher, description, loss=config.loss, loss_on=config.loss_on)


def build_dataset(config: PretrainConfig, paths: list[Path], teacher: Teacher) -> PretrainDataset:
    """Two views of each image, and a mask."""
    side = config.px // 16
    mask = config.mask
    masks = BlockMasks(
        (side, side),
        min(side * side - 1, max(1, round(mask.ratio * side * side))),
        min_block=mask.min_block,
        max_block=mask.max_block,
        min_aspect=mask.min_aspect,
        exact=mask.exact,
    )
    views = TwoViews(
        px=config.px,
        teacher_px=teacher.px,
        mean=config.mean,
        std=config.std,
        teacher_mean=teacher.mean,
        teacher_std=teacher.std,
        crop_scale=config.crop_scale,
        hflip=config.hflip,
        color_jitter=config.color_jitter,
    )
    return PretrainDataset(paths, views, masks, seed=config.seed, cache_mib=cache_mib(config.workers))
