"""`fastitpn pretrain cache-features`: a teacher's features of whole images, written once for many pre-trainings."""

import logging
import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from fastitpn.config.pretrain import CacheFeaturesConfig
from fastitpn.data.datasets import EvaluationDataset, collate
from fastitpn.data.feature_shards import (
    FeatureIndex,
    images_per_shard,
    shard_path,
    write_index,
    write_shard,
)
from fastitpn.data.readable import check_readable
from fastitpn.data.sources import FileSource, ImageSource, open_images
from fastitpn.data.transforms import whole_image
from fastitpn.engine.devices import build_fabric
from fastitpn.engine.output import check_no_run, make_folder
from fastitpn.errors import InputError
from fastitpn.pretraining.timm_teacher import TimmTeacher

logger = logging.getLogger(__name__)


def run_cache_features(config: CacheFeaturesConfig) -> Path:
    """Write the features of every image, or go on where an interrupted command stopped.

    Returns:
        The folder.

    Raises:
        InputError: The data, the teacher or the folder do not fit.
    """
    name = config.teacher.name
    if not name.startswith("timm:"):
        raise InputError(
            f"teacher {name!r} has no features to store",
            where="teacher",
            expected="timm:NAME (any image encoder of timm)",
            fix="teacher=timm:vit_base_patch16_clip_224.openai",
        )
    images = open_images(config.data)
    if isinstance(images, FileSource):
        check_readable([images.path(number) for number in range(len(images))])
    teacher = TimmTeacher(
        name.removeprefix("timm:"),
        grid=None,
        weights=config.teacher.weights,
        px=config.teacher.px,
        projection=config.teacher.projection,
    )
    check_no_run(config.out, "features")
    make_folder(config.out)
    index = FeatureIndex(
        teacher=name,
        px=teacher.px,
        side=teacher.grid,
        dim=teacher.dim,
        per_shard=images_per_shard(teacher.grid, teacher.dim),
        images=tuple(images.name(number) for number in range(len(images))),
    )
    write_index(config.out, index)
    size_mib = 2 * len(images) * teacher.grid**2 * teacher.dim / 2**20
    print(
        f"{len(images)} images, {teacher.grid}x{teacher.grid} features of width {teacher.dim}: {size_mib:.0f} MiB",
        flush=True,
    )
    _write_shards(config, index, images, teacher)
    print(f"done; pre-train with data={config.data} teacher=features:{config.out}", flush=True)
    return config.out


def _write_shards(config: CacheFeaturesConfig, index: FeatureIndex, images: ImageSource, teacher: TimmTeacher) -> None:
    fabric = build_fabric(config.device, precision=config.precision)
    teacher.to(fabric.device)
    todo = [shard for shard in range(index.num_shards) if not shard_path(config.out, shard).is_file()]
    dataset = EvaluationDataset(images, whole_image(teacher.px, mean=teacher.mean, std=teacher.std))
    console = Console(stderr=True)
    for shard in track(todo, "storing features", console=console, disable=not sys.stderr.isatty()):
        begin = shard * index.per_shard
        numbers = range(begin, min(begin + index.per_shard, len(images)))
        loader = torch.utils.data.DataLoader(
            dataset, batch_size=config.batch, sampler=numbers, num_workers=config.workers, collate_fn=collate
        )
        features: list[Tensor] = []
        with torch.inference_mode(), fabric.autocast():
            for batch in loader:
                features.append(teacher.features(batch["image"].to(fabric.device)).float().cpu())
        write_shard(config.out, shard, torch.cat(features))
