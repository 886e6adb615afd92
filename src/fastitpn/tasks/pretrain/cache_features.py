"""`fastitpn pretrain cache-features`: a teacher's features of whole images, written once for many pre-trainings."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from fastitpn.console import say
from fastitpn.data.datasets import EvaluationDataset, collate
from fastitpn.data.feature_shards import (
    FeatureIndex,
    images_per_shard,
    shard_path,
    write_index,
    write_shard,
)
from fastitpn.data.images.readable import check_readable
from fastitpn.data.images.reading import reads_images, settle_range
from fastitpn.data.images.sources import FileSource, ImageSource, open_images
from fastitpn.data.images.transforms import whole_image
from fastitpn.errors import InputError
from fastitpn.files import replacing
from fastitpn.models.weights.reading import read_content
from fastitpn.pretraining.teachers.components import Components
from fastitpn.pretraining.teachers.registry import TEACHERS
from fastitpn.runs.output import check_no_run, make_folder
from fastitpn.sums import record
from fastitpn.tasks.pretrain.preparation_config import CacheFeaturesConfig, OneStored
from fastitpn.training.loading import ImageLoader
from fastitpn.training.processes.devices import build_fabric

Number = TypeVar("Number")

COMPONENTS = "components.pt"
"""In the folder: on what its features were projected."""
SAMPLED_IMAGES, SAMPLED_FEATURES = 1000, 64
"""The components are found on so many images at most, and about so many features of each."""


@reads_images
def run_cache_features(config: CacheFeaturesConfig) -> Path:
    """Write the features of every image, or go on where an interrupted command stopped.

    Returns:
        The folder; those of several teachers lie in folders in it.

    Raises:
        InputError: The data, the teacher or the folder do not fit.
    """
    wanted = config.teacher.teachers()
    builders = [_builder(teacher) for teacher in wanted]
    images = open_images(config.data)
    files = [images.path(number) for number in range(len(images))] if isinstance(images, FileSource) else []
    check_readable(files)
    settle_range(config.image, images.some())
    check_no_run(config.out, "features")
    folders = [config.out / teacher.folder_name if len(wanted) > 1 else config.out for teacher in wanted]
    for teacher, build, folder in zip(wanted, builders, folders, strict=True):
        _store(config, teacher.name, build(teacher), images, folder)
    stored = "+".join(f"features:{folder}" for folder in folders)
    say(f"done; pre-train with data={config.data} teacher={stored}")
    return config.out


def _builder(wanted: OneStored) -> Callable[[OneStored], Any]:
    kind = TEACHERS.name_in(wanted.name)
    build: Callable[[OneStored], Any] | None = TEACHERS[kind].alone if kind in TEACHERS else None
    if build is None:
        raise InputError(
            f"teacher {wanted.name!r} has no features to store",
            where="teacher",
            expected="timm:NAME (any image encoder of timm), or several joined by +",
            fix="teacher=timm:vit_base_patch16_clip_224.openai",
        )
    return build


def _store(config: CacheFeaturesConfig, name: str, teacher: Any, images: ImageSource, folder: Path) -> None:
    """Writes one teacher's features of every image into a folder."""
    dims = config.dims
    if dims is not None and dims >= teacher.dim:
        raise InputError(
            f"the teacher's features have no {dims} components to choose from",
            where="dims",
            expected=f"fewer than their width, {teacher.dim}",
            fix=f"dims={teacher.dim // 2}, or leave it out",
        )
    make_folder(folder)
    dim = dims or teacher.dim
    index = FeatureIndex(
        teacher=name,
        px=teacher.px,
        side=teacher.grid,
        dim=dim,
        per_shard=images_per_shard(teacher.grid, dim),
        images=tuple(images.name(number) for number in range(len(images))),
        components_of=dims and teacher.dim,
    )
    write_index(folder, index)
    size_mib = 2 * len(images) * teacher.grid**2 * dim / 2**20
    say(f"{len(images)} images, {teacher.grid}x{teacher.grid} features of width {dim}: {size_mib:.0f} MiB")
    _write_shards(config, folder, index, images, teacher)


def _write_shards(
    config: CacheFeaturesConfig, folder: Path, index: FeatureIndex, images: ImageSource, teacher: Any
) -> None:
    fabric = build_fabric(config.device, precision=config.precision)
    teacher.to(fabric.device)
    todo = [shard for shard in range(index.num_shards) if not shard_path(folder, shard).is_file()]
    dataset = EvaluationDataset(images, whole_image(teacher.px, mean=teacher.mean, std=teacher.std))

    def features(numbers: Sequence[int]) -> Iterator[Tensor]:
        loader = ImageLoader(
            dataset, batch_size=config.batch, sampler=numbers, num_workers=config.workers, collate_fn=collate
        )
        for batch in loader:
            with torch.inference_mode(), fabric.autocast():
                maps = teacher.features(batch["image"].to(fabric.device))
            yield maps.float().cpu()

    components = None
    if todo and index.components_of is not None:
        components = _components(folder, index, features)
    for shard in _shown(todo, "storing features"):
        begin = shard * index.per_shard
        chunks = features(range(begin, min(begin + index.per_shard, len(images))))
        write_shard(folder, shard, torch.cat([components(chunk) if components else chunk for chunk in chunks]))


def _components(folder: Path, index: FeatureIndex, features: Callable[[Sequence[int]], Iterator[Tensor]]) -> Components:
    """What all files of a folder are projected on: found once, on images spread evenly over the data."""
    path = folder / COMPONENTS
    if path.is_file():
        return _read_components(path, index)
    count = min(len(index.images), SAMPLED_IMAGES)
    numbers = torch.linspace(0, len(index.images) - 1, count).round().long().tolist()
    batches = [numbers[start : start + 64] for start in range(0, count, 64)]
    step = -(-(index.side**2) // SAMPLED_FEATURES) | 1  # odd: not always the same columns of a map
    sample = [
        part[:, ::step].flatten(0, 1) for batch in _shown(batches, "finding the components") for part in features(batch)
    ]
    components = Components.of(torch.cat(sample), index.dim)
    with replacing(path) as file:
        torch.save(components.state_dict(), file)
    record(folder, COMPONENTS)
    say(
        f"{index.dim} of {index.components_of} components, found on {count} images, "
        f"have {100 * components.kept:.0f}% of the variance"
    )
    return components


def _read_components(path: Path, index: FeatureIndex) -> Components:
    """Those that an interrupted `cache-features` found.

    Raises:
        InputError: The file is damaged, or has something else.
    """
    state = read_content(path).value
    try:
        components = Components.from_state_dict(state)
        if components.directions.shape == (index.components_of, index.dim):
            return components
        what = f"components of another kind, {list(components.directions.shape)}"
    except (TypeError, KeyError, ValueError, RuntimeError, AttributeError):
        what = f"no components of features, but {', '.join(map(str, list(state)[:5])) or 'nothing'}"
    raise InputError(
        f"this file has {what}",
        where=path,
        expected=f"{index.dim} components of {index.components_of} features, as fastitpn pretrain cache-features wrote",
        fix=f"rm {path}, and the .npy files beside it: they are stored anew",
    )


def _shown(numbers: Sequence[Number], what: str) -> Iterable[Number]:
    return track(numbers, what, console=Console(stderr=True), disable=not sys.stderr.isatty())
