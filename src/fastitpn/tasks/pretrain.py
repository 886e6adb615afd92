"""Masked feature modelling as a task."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from fastitpn.models.layer_ids import layer_id, num_layers
from fastitpn.models.official_names import BACKBONE
from fastitpn.pretraining.model import PretrainingModel
from fastitpn.pretraining.objective import feature_loss
from fastitpn.pretraining.teachers import Teacher
from fastitpn.tasks.task import Batch, Task


class PretrainTask(Task):
    """A student that predicts a teacher's features of hidden patches.

    Args:
        model: The student.
        teacher: Gives the targets.
        description: What `describe` returns: model name and arguments, normalisation, px, teacher.
        loss: See `feature_loss`.
        loss_on: See `feature_loss`.
    """

    no_decay = frozenset({"pos_embed", "cls_token"})  # the mask token is decayed, as published

    def __init__(
        self,
        model: PretrainingModel,
        teacher: Teacher,
        description: Mapping[str, Any],
        *,
        loss: str = "cosine",
        loss_on: str = "masked",
    ):
        super().__init__()
        self.trained_model = model
        self.teacher = teacher
        self.description = dict(description)
        self.loss, self.loss_on = loss, loss_on
        self.depths = tuple(len(stage.blocks) for stage in model.backbone.stages)  # type: ignore[arg-type]
        self.num_layers = num_layers(self.depths)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of a micro-batch."""
        targets = self.teacher(batch["teacher_image"])
        predictions = self.trained_model(batch["image"], batch["masked"])
        return {"loss": feature_loss(predictions, targets, batch["masked"], loss=self.loss, loss_on=self.loss_on)}

    def after_step(self, progress: float) -> None:
        """Lets a moving-average teacher follow."""
        self.teacher.follow(self.trained_model, progress)

    @torch.no_grad()
    def look(self, batch: Batch) -> dict[str, Tensor]:
        """What there is to see: targets and predictions at 1/16 [B, N, D], and the pyramid's finest level in cells."""
        model = self.trained_model
        return {
            "target": self.teacher(batch["teacher_image"]),
            "prediction": model(batch["image"], batch["masked"]),
            "level4": model.levels(batch["image"])[0],
        }

    def describe(self) -> dict[str, Any]:
        """Name and arguments of the student, normalisation, px and teacher."""
        return {"task": "pretrain", **self.description}

    def layer_id(self, name: str) -> int:
        """Layer of a parameter (unused without layer decay)."""
        return layer_id(name.removeprefix(BACKBONE), self.depths)

    def extra_state(self) -> dict[str, Any]:
        """The moving average, where the teacher is one."""
        return {"teacher": self.teacher.state_dict()} if hasattr(self.teacher, "trunk") else {}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restores the moving average."""
        if "teacher" in state:
            self.teacher.load_state_dict(state["teacher"])
