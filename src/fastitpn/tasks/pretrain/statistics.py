"""Statistics of several teachers' features, found before the first step of a run and kept in its checkpoints."""

import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from fastitpn.data.datasets import SeededDataset, collate
from fastitpn.pretraining.teachers.several_teachers import SeveralTeachers
from fastitpn.pretraining.teachers.statistics import in_one_process

if TYPE_CHECKING:
    from lightning_fabric import Fabric

logger = logging.getLogger(__name__)

IMAGES = 512
"""So many are looked at, spread evenly over the data, with their augmentation in the first epoch."""


def after_statistics(
    make_loader: Callable[[int], DataLoader[Any]],
    teacher: SeveralTeachers,
    dataset: SeededDataset,
    fabric: "Fabric",
    *,
    batch: int,
) -> Callable[[int], DataLoader[Any]]:
    """Makes the loader of a run's batches once the teachers' statistics are known: found now, or in the checkpoint."""
    count = min(IMAGES, len(dataset))
    places = np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()

    def batches() -> Iterator[Mapping[str, Tensor]]:
        starts = range(0, count, batch)
        shown = sys.stderr.isatty() and fabric.is_global_zero
        for start in track(starts, "statistics of the teachers", console=Console(stderr=True), disable=not shown):
            yield fabric.to_device(collate([dataset[0, place] for place in places[start : start + batch]]))

    def made(step: int) -> DataLoader[Any]:
        if not teacher.settled:
            teacher.to(fabric.device)
            with in_one_process(), fabric.autocast() if fabric.device.type != "cpu" else nullcontext():
                teacher.settle(batches)
            teacher.load_kept_state(fabric.broadcast(teacher.kept_state()))
            logger.info("statistics of the teachers' features found on %s images", count)
        return make_loader(step)

    return made
