"""Masked feature modelling as a task."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fastitpn.pretraining.gram import GramAnchor, gram_loss, patch_agreement
from fastitpn.pretraining.masked_model import MaskedModel
from fastitpn.pretraining.objective import weighted_losses
from fastitpn.pretraining.pixel_model import PixelModel
from fastitpn.pretraining.teachers.base import Teacher
from fastitpn.pretraining.teachers.resampling import to_grid
from fastitpn.pretraining.teachers.statistics import in_one_process
from fastitpn.tasks.pretrain.description import PretrainDescription
from fastitpn.tasks.task import BackboneTask
from fastitpn.training.metric import Metric
from fastitpn.training.task import Batch

TARGET = "target_"
"""Before the name of a prediction: the key of its targets in a batch that has them already."""
COLLAPSED = 0.5
"""Share of the targets' first effective rank below which a warning is given."""
AGREEMENT = Metric(name="patch_agreement", title="Agreement of the patches with the teacher")
"""See `gram.patch_agreement`, of the trunk's tokens of partly hidden images with the teacher's targets."""
DEGRADED = 0.8
"""Share of the best agreement of patches so far below which a warning is given."""
MEANINGFUL = 0.2
"""Best agreement from which on it is watched."""
SETTLED = 0.1
"""Share of a run after which agreements count: random weights agree in colours, which are unlearnt first."""


class PretrainTask(BackboneTask[PretrainDescription]):
    """A student that predicts a teacher's features of hidden patches.

    Args:
        model: The student that learns.
        teacher: Gives the targets.
        about: What a checkpoint says of the student.
        loss: See `feature_loss`; also by the name of the prediction.
        loss_on: See `feature_loss`.
        weights: Weight of each loss by the name of its prediction, see `weighted_losses`.
        gram_weight: Weight of the Gram term, see `gram_loss`; 0 for none.
        gram_anchor: What the patches shall stay like; None for the teacher's targets.
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
        gram_weight: float = 0.0,
        gram_anchor: GramAnchor | None = None,
    ):
        super().__init__("pretrain", model, about)
        self.teacher = teacher
        self.gram_weight, self.gram_anchor = gram_weight, gram_anchor
        self.loss, self.loss_on, self.weights = loss, loss_on, dict(weights or {})
        self._first_rank: float | None = None
        self._best_agreement: float | None = None
        self._progress = 0.0
        self._warned = False
        self._warned_of_patches = False

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of a micro-batch, the effective rank of targets that could collapse, and `AGREEMENT`."""
        names = self.trained_model.names
        if TARGET + names[0] in batch:
            targets = {name: batch[TARGET + name] for name in names}
        else:
            targets = self.teacher.targets_of(batch, names)
        predictions, tokens = self.trained_model.predict_with_tokens(batch["image"], batch["masked"])
        targets = {name: to_grid(target, predictions[name].shape[1]) for name, target in targets.items()}
        losses = weighted_losses(
            predictions, targets, batch["masked"], weights=self.weights, loss=self.loss, loss_on=self.loss_on
        )
        if tokens is not None:
            losses |= self._of_patches(batch, tokens, targets[self.trained_model.shown].mean(2), losses["loss"])
        return losses if self.teacher.rank is None else {**losses, "target_rank": self.teacher.rank}

    def _of_patches(self, batch: Batch, tokens: Tensor, targets: Tensor, loss: Tensor) -> dict[str, Tensor]:
        """How well tokens [B, N, D] and targets [B, N, any width] agree; with the Gram term, it and the sum."""
        figures = {AGREEMENT.name: patch_agreement(tokens, targets)}
        if not self.gram_weight:
            return figures
        if self.gram_anchor is None:
            term = gram_loss(tokens, targets)
        elif self.gram_anchor.known:
            term = gram_loss(tokens, self.gram_anchor(batch["image"]))
        else:
            term = torch.zeros_like(loss)
        return {"loss": loss + self.gram_weight * term, "loss_gram": term, **figures}

    def after_step(self, progress: float) -> None:
        """Lets a moving-average teacher and the anchor of the Gram term follow."""
        self._progress = progress
        self.teacher.follow(self.trained_model, progress)
        if self.gram_anchor is not None:
            self.gram_anchor.follow(self.backbone)

    def compile_model(self) -> None:
        """Compiles the student, for each size of a mix; the teacher runs as it is."""
        model = self.trained_model
        compiled = torch.compile(model.predict_with_tokens, dynamic=False)
        model.predict_with_tokens = compiled  # type: ignore[method-assign, assignment]

    def warning(self, figures: Mapping[str, float]) -> str | None:
        """Says once when the targets collapse, or when patches are alike in another way than the teacher's."""
        return self._collapse(figures.get("target_rank")) or self._degradation(figures.get(AGREEMENT.name))

    def _degradation(self, agreement: float | None) -> str | None:
        if agreement is None or self._progress < SETTLED:
            return None
        best = self._best_agreement = max(agreement, self._best_agreement or agreement)
        if self._warned_of_patches or best < MEANINGFUL or agreement >= DEGRADED * best:
            return None
        self._warned_of_patches = True
        return (
            f"the features of single patches degrade: which of them are alike agrees with the teacher's by "
            f"{agreement:.2f} (correlation), after {best:.2f}; dense tasks lose first. "
            "Try gram.weight=1, which keeps it, or a lower lr"
        )

    def _collapse(self, rank: float | None) -> str | None:
        """When the targets collapse onto half of the directions they began with."""
        if rank is None:
            return None
        if self._first_rank is None:
            self._first_rank = rank
        if self._warned or rank >= COLLAPSED * self._first_rank:
            return None
        self._warned = True
        return (
            f"the targets collapse: their effective rank is {rank:.1f}, and was {self._first_rank:.1f} at the start; "
            "from here on little is learned. Try teacher.whiten=true predictor=mlp color_jitter=0.4, a "
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
        """Of teachers what changes or was found, what is known of targets and patches, and the Gram term's anchor."""
        state: dict[str, Any] = {}
        if kept := self.teacher.kept_state():
            state |= {"teacher": kept, "first_rank": self._first_rank, "warned": self._warned}
        if self.gram_anchor is not None:
            state["gram"] = self.gram_anchor.kept_state()
        if self._best_agreement is not None:
            state["patches"] = {
                "best": self._best_agreement,
                "warned": self._warned_of_patches,
                "progress": self._progress,
            }
        return state

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restores it."""
        if "teacher" in state:
            self.teacher.load_kept_state(state["teacher"])
        self._first_rank, self._warned = state.get("first_rank"), state.get("warned", False)
        if self.gram_anchor is not None and "gram" in state:
            self.gram_anchor.load_kept_state(state["gram"])
        if patches := state.get("patches"):
            self._best_agreement, self._warned_of_patches = patches["best"], patches["warned"]
            self._progress = patches.get("progress", SETTLED)  # which earlier versions did not keep
