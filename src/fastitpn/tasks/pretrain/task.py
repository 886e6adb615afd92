"""Masked feature modelling as a task."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fastitpn.pretraining.masked_model import MaskedModel
from fastitpn.pretraining.objective import weighted_losses
from fastitpn.pretraining.pixel_model import PixelModel
from fastitpn.pretraining.teachers.base import Teacher
from fastitpn.pretraining.teachers.statistics import in_one_process
from fastitpn.tasks.pretrain.description import PretrainDescription
from fastitpn.tasks.task import BackboneTask
from fastitpn.training.task import Batch

TARGET = "target_"
"""Before the name of a prediction: the key of its targets in a batch that has them already."""
COLLAPSED = 0.5
"""Share of the targets' first effective rank below which a warning is given."""


class PretrainTask(BackboneTask[PretrainDescription]):
    """A student that predicts a teacher's features of hidden patches.

    Args:
        model: The student that learns.
        teacher: Gives the targets.
        about: What a checkpoint says of the student.
        loss: See `feature_loss`; also by the name of the prediction.
        loss_on: See `feature_loss`.
        weights: Weight of each loss by the name of its prediction, see `weighted_losses`.
    """

    trained_model: MaskedModel | PixelModel

    def __init__(
        self,
        model: MaskedModel | PixelModel,
        teacher: Teacher,
        about: PretrainDescription,
        *,
        loss: str | Mapping[str, str] = "cosine",
        loss_on: str = "masked",
        weights: Mapping[str, float] | None = None,
    ):
        super().__init__("pretrain", model, about)
        self.teacher = teacher
        self.loss, self.loss_on, self.weights = loss, loss_on, dict(weights or {})
        self._first_rank: float | None = None
        self._warned = False

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of a micro-batch, and the effective rank of targets that could collapse."""
        names = self.trained_model.names
        if TARGET + names[0] in batch:
            targets = {name: batch[TARGET + name] for name in names}
        else:
            targets = self.teacher.targets_of(batch, names)
        predictions = self.trained_model.predict(batch["image"], batch["masked"])
        losses = weighted_losses(
            predictions, targets, batch["masked"], weights=self.weights, loss=self.loss, loss_on=self.loss_on
        )
        return losses if self.teacher.rank is None else {**losses, "target_rank": self.teacher.rank}

    def after_step(self, progress: float) -> None:
        """Lets a moving-average teacher follow."""
        self.teacher.follow(self.trained_model, progress)

    def compile_model(self) -> None:
        """Compiles the student; the teacher runs as it is."""
        self.trained_model.predict = torch.compile(self.trained_model.predict)  # type: ignore[method-assign]

    def warning(self, figures: Mapping[str, float]) -> str | None:
        """Says once when the targets collapse onto half of the directions they began with."""
        rank = figures.get("target_rank")
        if rank is None:
            return None
        if self._first_rank is None:
            self._first_rank = rank
        if self._warned or rank >= COLLAPSED * self._first_rank:
            return None
        self._warned = True
        return (
            f"the targets collapse: their effective rank is {rank:.1f}, and was {self._first_rank:.1f} at the start; "
            "what is learnt from here on is worth little. Try teacher.whiten=true predictor=mlp color_jitter=0.4, a "
            "lower lr, or teacher=timm:NAME"
        )

    @torch.no_grad()
    def look(self, batch: Batch) -> dict[str, Tensor]:
        """What there is to see: targets and predictions at 1/16 [B, N, D], and the pyramid's levels in cells."""
        model = self.trained_model
        shown = model.shown
        with in_one_process():
            targets = self.teacher.targets_of(batch, model.names)
        levels = zip(("level4", "level8", "level16"), model.levels(batch["image"]), strict=True)
        return {
            "target": targets[shown].mean(2),
            "prediction": model.predict(batch["image"], batch["masked"])[shown].mean(2),
            **dict(levels),
        }

    def fixed_parameters(self) -> Iterable[nn.Parameter]:
        """The parameters of a teacher that is no moving average."""
        return self.teacher.parameters() if self.teacher.fixed else ()

    def extra_state(self) -> dict[str, Any]:
        """Of a moving average or of several teachers what changes or was found, and what is known of the targets."""
        kept = self.teacher.kept_state()
        if not kept:
            return {}
        return {"teacher": kept, "first_rank": self._first_rank, "warned": self._warned}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restores it."""
        if "teacher" in state:
            self.teacher.load_kept_state(state["teacher"])
        self._first_rank, self._warned = state.get("first_rank"), state.get("warned", False)
