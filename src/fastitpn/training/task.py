"""The seam between the engine and what is learnt: a task is a model with its loss and its metrics."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn

from fastitpn.training.metric import Metric

Batch = dict[str, Tensor]
"""What a loader yields. Every batch has `index` [B] int64, the samples' places in the data set."""


class Task(nn.Module):
    """A model, its loss and its metrics. It knows nothing of optimisers, files or devices.

    A subclass sets `trained_model`, and defines `forward` and `describe`.

    Attributes:
        trained_model: The module that learns. Its `state_dict` is what a checkpoint holds under "weights", timm's
            `group_matcher` says its layers, and every parameter of the task with `requires_grad` is inside it.
        no_decay: Parameters without weight decay, by full name or last part of the name. All biases and everything
            with less than two dimensions have none anyway.
        metrics: All that `evaluate` gives; the first one chooses the best checkpoint. Empty: the last one is the best.
    """

    trained_model: nn.Module
    metrics: tuple[Metric, ...] = ()
    no_decay: frozenset[str] = frozenset({"pos_embed", "cls_token", "registers"})

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Scalar losses of one micro-batch: "loss" is minimised, the others are only logged."""
        raise NotImplementedError

    def after_step(self, progress: float) -> None:
        """Called without gradients after each optimiser step that took place, such as for a moving-average teacher.

        All processes call it. With `strategy=fsdp` parameters are DTensors here, of which each process has a part.

        Args:
            progress: Share of the run that is done, in (0, 1].
        """

    def evaluate(self, batches: Iterable[Batch], model: nn.Module) -> dict[str, float]:
        """Metrics of `model` (the trained model, or its moving average) over batches on the model's device."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """What a checkpoint needs to be used: task, model, classes, normalisation, px, acceleration; plain types."""
        raise NotImplementedError

    def compile_model(self) -> None:
        """Makes `trained_model` fast with torch.compile, before the first step."""
        self.trained_model.compile()

    def warning(self, figures: Mapping[str, float]) -> str | None:
        """What a person should know of the figures that are about to be logged; None if nothing.

        Args:
            figures: Means over the steps since the last line of the log.
        """
        return None

    def fixed_parameters(self) -> Iterable[nn.Parameter]:
        """Parameters that never change, such as a fixed teacher's: no process needs to hear of them from others."""
        return ()

    def to_plain(self, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """Weights of `trained_model` as those of the network that `describe` describes.

        Args:
            weights: A `state_dict` of the trained model, which may have parts that only the training needs.
        """
        return weights

    def extra_state(self) -> dict[str, Any]:
        """What must be kept to resume beyond `trained_model`: plain types and tensors."""
        return {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `extra_state` gave."""
