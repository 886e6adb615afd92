"""What the tasks of this package have in common: a Fast-iTPN inside of what learns."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, Self, TypeVar

import torch
from torch import Tensor, nn

from fastitpn.models.backbone import FastITPN
from fastitpn.runs.description import ModelDescription
from fastitpn.tasks.lora import add_lora, merged
from fastitpn.training.metric import Metric
from fastitpn.training.task import Task

_NEVER_FROZEN = {"trunk": ("pyramid", "fc_norm", "head"), "all_but_head": ("head",)}
"""Parts of a backbone that learn with each value of `freeze`."""

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
        self.frozen: tuple[nn.Module, ...] = ()
        self.has_lora = False

    def freeze(self, part: Literal["trunk", "all_but_head"]) -> None:
        """Keep the start weights of a part of the network; all of it stays in evaluation mode, and drops nothing.

        Args:
            part: "trunk", the backbone without its pyramid and its classifier, or "all_but_head", which leaves the
                classifier to learn, or what stands on the backbone.
        """
        backbone = self.backbone
        learns = _NEVER_FROZEN[part]
        if part == "all_but_head" and backbone is not self.trained_model:
            self.frozen = (backbone,)
        else:
            self.frozen = tuple(module for name, module in backbone.named_children() if name not in learns)
        for parameter in (*backbone.parameters(recurse=False), *(p for m in self.frozen for p in m.parameters())):
            parameter.requires_grad_(False)
        self.train(self.training)

    def add_lora(self, rank: int) -> None:
        """Let the trunk learn low-rank changes of its weights, see `lora`."""
        add_lora(self.backbone, rank)
        self.has_lora = True

    def to_plain(self, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """Low-rank changes are added to the weights that they change."""
        return merged(weights) if self.has_lora else weights

    def train(self, mode: bool = True) -> Self:
        """Training or evaluation mode, in which frozen parts always are."""
        super().train(mode)
        for module in self.frozen:
            module.eval()
        return self

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
