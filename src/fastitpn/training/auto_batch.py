"""`batch=auto`: the largest micro-batch that fits into memory, found by trying."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fastitpn.errors import InputError, is_out_of_memory
from fastitpn.training.memory import available_memory
from fastitpn.training.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

MakeBatch = Callable[[int], dict[str, Any]]
"""A training batch of so many images, on the CPU."""
_USED = 0.85
"""Share of the memory that a run may take: later images may be larger, and others use the machine as well."""
_TEMPORARY = 1.5
"""On a CPU, memory of a step to that of the tensors which its backward pass needs."""
_COPIES = 4
"""Of each weight: itself, its gradient and AdamW's two moments."""


def divisors(images: int) -> list[int]:
    """Micro-batches that add up to so many images, ascending."""
    return [size for size in range(1, images + 1) if images % size == 0]


def largest_batch(task: Task, make_batch: MakeBatch, sizes: Sequence[int], fabric: "Fabric") -> int:
    """The largest of some batch sizes that fits into memory, on all devices of a run.

    On a GPU each size is tried, until one does not fit. On a CPU two small ones are, and the memory of larger ones
    follows from them. The task keeps its weights and its running statistics.

    Args:
        task: With its start weights; it moves to the device.
        make_batch: Makes a batch to try.
        sizes: Ascending.
        fabric: Devices and precision of the run.

    Raises:
        InputError: Not even the smallest fits.
    """
    task.to(fabric.device)
    before = {name: buffer.clone() for name, buffer in task.named_buffers()}
    find = _by_trying if fabric.device.type == "cuda" else _by_measuring
    try:
        chosen = find(_Attempt(task, make_batch, fabric), sizes)
    finally:
        task.zero_grad(set_to_none=True)
        for name, buffer in task.named_buffers():
            buffer.copy_(before[name])
    if fabric.world_size > 1:
        chosen = int(fabric.all_reduce(torch.tensor(float(chosen), device=fabric.device), reduce_op="min"))  # type: ignore[arg-type]
    if chosen == 0:
        raise InputError(
            f"batch=auto: not even a batch of {sizes[0]} fits into memory",
            where=f"{fabric.device}, with {_free_bytes(fabric) / 2**30:.1f} GiB to use",
            expected="memory for the weights, their gradients and moments, and the activations of a batch",
            fix="a smaller px= or model=, or grad_checkpointing=true",
        )
    return chosen


class _Attempt:
    """A forward and a backward pass, as a step of the training has them."""

    def __init__(self, task: Task, make_batch: MakeBatch, fabric: "Fabric") -> None:
        self.task, self.fabric = task, fabric
        self._make_batch = make_batch
        learns = sum(p.numel() * p.element_size() for p in task.parameters() if p.requires_grad)
        self.state_bytes = (_COPIES - 2) * learns
        """Of the moments, which are not there yet."""
        self.weight_bytes = sum(p.numel() * p.element_size() for p in task.parameters()) + (_COPIES - 1) * learns

    def run(self, size: int) -> None:
        """One step without an update."""
        batch = self.fabric.to_device(self._make_batch(size))
        with self.fabric.autocast():
            loss: Tensor = self.task(batch)["loss"]
        loss.backward()
        self.task.zero_grad(set_to_none=True)

    def saved_bytes(self, size: int) -> int:
        """Bytes of the tensors that the backward pass of a batch needs."""
        seen: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            seen[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            self.run(size)
        return sum(seen.values())


def _by_trying(attempt: _Attempt, sizes: Sequence[int]) -> int:
    chosen = 0
    device = attempt.fabric.device
    for size in sizes:
        torch.cuda.reset_peak_memory_stats(device)
        try:
            attempt.run(size)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            break
        finally:
            peak = torch.cuda.max_memory_allocated(device)
            torch.cuda.empty_cache()
        if peak + attempt.state_bytes > _free_bytes(attempt.fabric):
            break
        chosen = size
    return chosen


def _by_measuring(attempt: _Attempt, sizes: Sequence[int]) -> int:
    small, *others = sizes[:2]
    base = attempt.saved_bytes(small)
    each = (attempt.saved_bytes(others[0]) - base) / (others[0] - small) if others else base / small
    room = _free_bytes(attempt.fabric) - attempt.weight_bytes
    fitting = [size for size in sizes if _TEMPORARY * (base + each * (size - small)) <= room]
    return max(fitting, default=0)


def _free_bytes(fabric: "Fabric") -> float:
    """Bytes that a process of the run may take in all."""
    if fabric.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(fabric.device)
        return _USED * (free + torch.cuda.memory_reserved(fabric.device))
    memory = available_memory()
    return math.inf if memory is None else _USED * memory / fabric.world_size
