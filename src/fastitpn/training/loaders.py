"""Loaders for training, which can begin at any step, and for evaluation."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from fastitpn.data.classification.datasets import ClassifiedImages
from fastitpn.data.datasets import EvaluationDataset, Sample, SeededDataset, collate
from fastitpn.data.images.transforms import classify_eval
from fastitpn.training.config import TrainingConfig
from fastitpn.training.loading import ImageLoader
from fastitpn.training.sampler import StepSampler

if TYPE_CHECKING:
    from lightning_fabric import Fabric

CACHE_MIB = 1024
"""Memory for decoded images, shared out among the processes that load them."""
WORKERS_FROM_BATCHES = 20
"""Fewer batches than this are evaluated without processes of their own; the cache then outlives an epoch."""


def training_loader(
    dataset: SeededDataset,
    config: TrainingConfig,
    fabric: "Fabric",
    steps: int,
    *,
    to_batch: Callable[[list[Sample]], dict[str, Any]] = collate,
    kinds: Sequence[int] | None = None,
    num_sizes: int = 1,
) -> Callable[[int], DataLoader[Any]]:
    """A function that makes the loader of a run from a given step on.

    Args:
        dataset: Samples by (epoch, index).
        config: Keys of the run: batch, seed, workers, accumulation.
        fabric: Devices and processes of the run.
        steps: Optimiser steps of the whole run.
        to_batch: Makes a batch of samples.
        num_sizes: Sizes of the images in a mix, see `StepSampler`.
        kinds: A number for each sample: those of a batch share theirs, see `StepSampler`; None for any order.
    """

    def make(start_step: int) -> DataLoader[Any]:
        sampler = StepSampler(
            len(dataset),
            config.batch,
            steps,
            config.seed,
            start_step,
            fabric.global_rank,
            fabric.world_size,
            accumulate=config.accumulate,
            group_sizes=dataset.images.source.group_sizes,
            kinds=kinds,
            num_sizes=num_sizes,
        )
        return ImageLoader(
            dataset,
            batch_sampler=sampler,
            num_workers=config.workers,
            collate_fn=to_batch,
            pin_memory=fabric.device.type == "cuda",
            prefetch_factor=4 if config.workers else None,
        )

    return make


def evaluation_loader(
    images: ClassifiedImages, px: int, mean: Sequence[float], std: Sequence[float], *, batch: int, workers: int
) -> DataLoader[Any]:
    """Images and labels in their order, nothing random."""
    dataset = EvaluationDataset(
        images.paths, classify_eval(px, mean=mean, std=std), labels=images.labels, cache_mib=cache_mib(workers)
    )
    workers = workers if len(images) > WORKERS_FROM_BATCHES * batch else 0
    return ImageLoader(
        dataset,
        batch_size=batch,
        num_workers=workers,
        collate_fn=collate,
        generator=torch.Generator(),  # else making an iterator draws from the run's
    )


def on_device(loader: Iterable[Any], fabric: "Fabric") -> Iterator[dict[str, Any]]:
    """Batches of a loader on the device of a run."""
    for batch in loader:
        yield fabric.to_device(batch)


def cache_mib(workers: int) -> int:
    """Memory for decoded images in each process that loads them, in MiB."""
    return CACHE_MIB // max(1, workers)
