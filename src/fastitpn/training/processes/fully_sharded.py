"""Fully sharded data parallelism (FSDP2): each process keeps a part of weights, gradients and moments.

Every attention block is a unit that is put together when it is needed and taken apart again; what is left of the task
is one more unit. Checkpoints hold whole tensors, so that a run can go on with other processes, or with one.

`torch.distributed.checkpoint.state_dict` does not do for them: to read an optimiser that has no moments yet it takes a
step, after which a run that was stopped before its first one goes on to other bits; and it keys moments by name.
"""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fastitpn.models.layers.attention import AttentionBlock
from fastitpn.training.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import Strategy
    from torch.distributed.device_mesh import DeviceMesh


def sharded_strategy(processes: int) -> "Strategy":
    """Fabric's strategy that shards a task over all processes of a run."""
    from lightning_fabric.strategies import ModelParallelStrategy

    return ModelParallelStrategy(shard, data_parallel_size=processes, tensor_parallel_size=1)


def shards(fabric: "Fabric") -> bool:
    """Whether a run has this strategy."""
    from lightning_fabric.strategies import ModelParallelStrategy

    return isinstance(fabric.strategy, ModelParallelStrategy)


def shard(module: nn.Module, mesh: "DeviceMesh") -> nn.Module:
    """Leaves this process its part of the parameters; those of a teacher that never changes stay whole.

    Running statistics follow those of the first process at each step, as with DDP.

    Args:
        module: A task, which is only called as a whole from now on, or a model that is not called at all.
        mesh: With a dimension "data_parallel".
    """
    from torch.distributed.fsdp import fully_shard

    fixed = set(module.fixed_parameters()) if isinstance(module, Task) else set()
    keys: dict[str, Any] = {"mesh": mesh["data_parallel"], "ignored_params": fixed}
    for part in list(module.modules()):
        if isinstance(part, AttentionBlock) and fixed.isdisjoint(part.parameters()):
            fully_shard(part, **keys)
    fully_shard(module, **keys)
    if isinstance(module, Task) and any(True for _ in module.trained_model.buffers()):
        module.register_forward_pre_hook(_follow_first_process)
    return module


def whole(value: Any) -> Any:
    """A tensor with the parts of all processes, which all must ask for; anything else as it is."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def gathered(content: Any, keep: bool) -> Any:
    """Nested content with whole tensors instead of parts, on the CPU; all processes must ask for it.

    Args:
        content: Dicts and lists.
        keep: Whether this process wants the tensors; they come one by one, so the others need no memory for them.
    """
    return _gathered(content, keep, {})


def _gathered(content: Any, keep: bool, seen: dict[int, Any]) -> Any:
    if isinstance(content, Mapping):
        return {key: _gathered(value, keep, seen) for key, value in content.items()}
    if type(content) in (list, tuple):
        return type(content)(_gathered(value, keep, seen) for value in content)
    if not hasattr(content, "full_tensor"):
        return content
    if id(content) not in seen:
        tensor = content.full_tensor()
        seen[id(content)] = tensor.cpu() if keep else None
    return seen[id(content)]


def parts_of(content: Any, like: Any) -> Any:
    """Nested content with this process's parts of its tensors, the inverse of `gathered`.

    Args:
        content: With whole tensors, the same on every process.
        like: Content of the same structure; each tensor is cut as the one of its shape here. What it lacks stays whole.
    """
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(content, Mapping):
        inner = like if isinstance(like, Mapping) else {}
        return {key: parts_of(value, inner.get(key)) for key, value in content.items()}
    if not (isinstance(content, Tensor) and isinstance(like, DTensor) and content.shape == like.shape):
        return content
    tensor = content.to(like.device, like.dtype)
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)


def optimizer_parts(content: Mapping[str, Any], optimizer: Optimizer) -> dict[str, Any]:
    """The state of an optimiser with this process's parts of its tensors.

    Args:
        content: Its `state_dict` with whole tensors.
        optimizer: Over parameters that may be parts.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    like = {number: dict.fromkeys(moments, parameters[number]) for number, moments in content["state"].items()}
    return {**content, "state": parts_of(content["state"], like)}


class WholeModel:
    """A copy of a model that is about to be sharded, to evaluate it with.

    Args:
        model: The model, still whole.
    """

    def __init__(self, model: nn.Module):
        self._model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def like(self, model: nn.Module) -> nn.Module:
        """The copy with the present weights of the sharded model; all processes must ask for it."""
        present = model.state_dict()
        for name, tensor in self._model.state_dict().items():
            tensor.copy_(whole(present[name]))
        return self._model


def _follow_first_process(task: nn.Module, arguments: Any) -> None:
    assert isinstance(task, Task)
    for buffer in task.trained_model.buffers():
        torch.distributed.broadcast(buffer, src=0)
