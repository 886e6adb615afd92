"""What the tasks of this package have in common: a Fast-iTPN inside of what learns."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from fastitpn.models.backbone import FastITPN
from fastitpn.runs.description import ModelDescription
from fastitpn.training.metric import Metric
from fastitpn.training.task import Task

AboutT = TypeVar("AboutT", bound=ModelDescription)


class BackboneTask(Task, Generic[AboutT]):
    """A task whose network is a `FastITPN`, or has one as its `backbone`.

    Args:
        name: Name of the task.
        model: The network that learns.
        about: What a checkpoint says of it.
        metrics: All that `evaluate` gives; the first one chooses the best checkpoint.
    """

    def __init__(self, name: str, model: nn.Module, about: AboutT, metrics: tuple[Metric, ...] = ()):
        super().__init__()
        self.name = name
        self.trained_model = model
        self.about = about
        self.metrics = metrics

    @property
    def backbone(self) -> FastITPN:
        """The part of the network that is a `FastITPN`."""
        model = self.trained_model
        backbone: FastITPN = model if isinstance(model, FastITPN) else model.backbone  # type: ignore[assignment]
        return backbone

    def with_scorers(self, losses: dict[str, Tensor], loss: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """The losses of a micro-batch, with that of the scorers by which tokens left, if any.

        Args:
            losses: After the model saw the images.
            loss: From what the queries of a scorer say of these, [B, queries, outputs].
        """
        parts = [loss(scorer.predict()) for scorer in self.backbone.scorers or () if scorer.has_seen]
        if not parts:
            return losses
        scorers = torch.stack(parts).sum()
        return {**losses, "loss": losses["loss"] + scorers, "scorers": scorers}

    def describe(self) -> dict[str, Any]:
        """The task, all that is needed to build and use the network, and the acceleration; plain types."""
        return {"task": self.name, **self.about.to_dict(), "acceleration": self.backbone.acceleration.to_dict()}
