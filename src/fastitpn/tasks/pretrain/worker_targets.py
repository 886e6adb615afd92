"""A fixed teacher on the processes that load the data: its targets are there before the student asks for them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fastitpn.data.datasets import Sample, collate
from fastitpn.pretraining.teachers.base import IMAGE, Teacher
from fastitpn.tasks.pretrain.task import TARGET
from fastitpn.training.config import TrainingConfig

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class WithTargets:
    """Collates samples to a batch in which the teacher's view is replaced by its targets.

    Small operations do not parallelise: on a CPU, a teacher and a student with a core each are faster than one after
    the other with all cores. Targets depend on their batch alone, so who computes them changes nothing.

    Args:
        teacher: A teacher that stays as it is.
        names: Names of the student's predictions.
    """

    def __init__(self, teacher: Teacher, names: Sequence[str]):
        self.teacher, self.names = teacher, tuple(names)

    def __call__(self, samples: list[Sample]) -> dict[str, Tensor]:
        """Samples of `PretrainDataset` to {image, masked, index, target_NAME [B, N, cells, dim]}."""
        batch = collate(samples)
        targets = self.teacher.targets_of(batch, self.names)
        rest = {name: value for name, value in batch.items() if not name.startswith(IMAGE)}
        return {**rest, **{TARGET + name: target for name, target in targets.items()}}


def runs_ahead(teacher: Teacher, config: TrainingConfig, fabric: "Fabric") -> bool:
    """Whether the data's processes run the teacher: on a CPU, alone, where there are such processes."""
    return teacher.fixed and config.workers > 0 and fabric.device.type == "cpu" and fabric.world_size == 1


@contextmanager
def cores_left_by(workers: int) -> Iterator[None]:
    """Within, torch uses the cores that busy processes leave, but at least one."""
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before - workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)
