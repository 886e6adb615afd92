"""Everything that changes while training, and how it is kept in a checkpoint."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from torch import nn

from fastitpn.training.ema import moving_average
from fastitpn.training.meter import Meter
from fastitpn.training.optimizer import adamw, parameter_groups
from fastitpn.training.processes.fully_sharded import WholeModel, gathered, optimizer_parts, parts_of, shard, shards
from fastitpn.training.settings import FitSettings
from fastitpn.training.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import ModelParallelStrategy


class TrainingState:
    """The task on its device, its optimiser, the moving average, and how far the run is.

    Attributes:
        task: The task that learns; use `model`, which Fabric wrapped, for losses.
        step: Optimiser steps that are done, skipped ones included.
        evaluated_at: Step of the last evaluation.
        metrics: Figures of the last evaluation, by name.
        best: Best value so far of the metric that chooses, with `best_step` where it was reached.
        skipped_in_a_row: Steps without finite loss and gradient since the last good one.
        meter: Figures since the last row of the log.
    """

    def __init__(self, task: Task, fabric: "Fabric", settings: FitSettings):
        self.task = task
        self._precision = fabric.strategy.precision
        self.scaler = getattr(self._precision, "scaler", None)
        """Gradient scaler of fp16 training, else None."""
        task.to(fabric.device)
        self.ema = None
        if settings.ema is not None:
            self.ema = moving_average(task.trained_model, settings.ema, foreach=not shards(fabric))
        self._whole = None
        if shards(fabric):  # before the task is, for then it cannot be copied any more
            self._whole = WholeModel(task.trained_model)
            if self.ema is not None:
                shard(self.ema.module, cast("ModelParallelStrategy", fabric.strategy).device_mesh)
        self.model = fabric.setup_module(task)
        self.optimizer = adamw(_groups(task, settings), betas=settings.betas, fused=self.scaler is None)
        self.wrapped_optimizer: Any = fabric.setup_optimizers(self.optimizer)
        if settings.grad_checkpointing:
            for module in task.trained_model.modules():
                if callable(enable := getattr(module, "set_grad_checkpointing", None)):
                    enable()
        if settings.compile:
            task.compile_model()
        self.step = 0
        self.evaluated_at = 0
        self.metrics: dict[str, float] = {}
        self.best: float | None = None
        self.best_step = 0
        self.skipped_in_a_row = 0
        self.meter = Meter()

    @property
    def _kept_model(self) -> nn.Module:
        """The model to evaluate and to keep: the moving average if there is one."""
        return self.task.trained_model if self.ema is None else self.ema.module

    def model_to_evaluate(self) -> nn.Module:
        """The moving average if there is one, whole; all processes must ask for it."""
        return self._kept_model if self._whole is None else self._whole.like(self._kept_model)

    def model_to_watch(self) -> nn.Module:
        """The model that learns, whole; all processes must ask for it."""
        model = self.task.trained_model
        return model if self._whole is None else self._whole.like(model)

    def content_for_use(self, keep: bool = True) -> dict[str, Any]:
        """What a checkpoint needs for the model to be used; all processes must ask for it, and some `keep` it."""
        return gathered(self._content_for_use(self._kept_model.state_dict()), keep)

    def _content_for_use(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        return {
            **self.task.describe(),
            "weights": self.task.to_plain(weights),
            "metrics": self.metrics,
            "step": self.step,
        }

    def content_to_resume(self, keep: bool = True) -> dict[str, Any]:
        """What a checkpoint needs for training to go on as if it had never stopped; see `content_for_use`."""
        weights = self._kept_model.state_dict()
        content = self._content_for_use(weights)
        content["training"] = {
            "weights": weights if self.ema is None else self.task.trained_model.state_dict(),
            "ema": None if self.ema is None else weights,
            "optimizer": self.optimizer.state_dict(),
            "precision": self._precision.state_dict(),
            "task": self.task.extra_state(),
            "meter": self.meter.state(),
            "evaluated_at": self.evaluated_at,
            "best": self.best,
            "best_step": self.best_step,
            "skipped_in_a_row": self.skipped_in_a_row,
        }
        return gathered(content, keep)

    def restore(self, content: Mapping[str, Any]) -> None:
        """Takes back what `content_to_resume` gave, once it was loaded."""
        training = content["training"]
        model = self.task.trained_model
        model.load_state_dict(parts_of(training["weights"], model.state_dict()))
        if self.ema is not None:
            self.ema.module.load_state_dict(parts_of(training["ema"], self.ema.module.state_dict()))
        self.optimizer.load_state_dict(optimizer_parts(training["optimizer"], self.optimizer))
        self._precision.load_state_dict(training["precision"])
        self.task.load_extra_state(parts_of(training["task"], self.task.extra_state()))
        self.meter.load_state(training["meter"])
        self.step, self.metrics = content["step"], content["metrics"]
        self.evaluated_at = training["evaluated_at"]
        self.best, self.best_step = training["best"], training["best_step"]
        self.skipped_in_a_row = training["skipped_in_a_row"]


def _groups(task: Task, settings: FitSettings) -> list[dict[str, Any]]:
    inside = {id(parameter) for parameter in task.trained_model.parameters()}
    outside = [name for name, p in task.named_parameters() if p.requires_grad and id(p) not in inside]
    if outside:
        raise ValueError(f"parameters that learn must be in the task's trained_model, but these are not: {outside}")
    return parameter_groups(
        task.trained_model,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        layer_decay=settings.layer_decay,
        no_decay=task.no_decay,
    )
