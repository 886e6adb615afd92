"""Classification with any number of labels for each image, as a task."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.v2 import CutMix, Identity, MixUp, RandomChoice

from fastitpn.models.backbone import FastITPN
from fastitpn.tasks.classify.description import ClassifierDescription
from fastitpn.tasks.classify.metrics import MULTILABEL
from fastitpn.tasks.classify.multilabel_scores import best_thresholds, multilabel_scores, probabilities
from fastitpn.tasks.classify.task import MixSettings, predict_logits
from fastitpn.tasks.task import BackboneTask
from fastitpn.training.task import Batch


class MultilabelTask(BackboneTask[ClassifierDescription]):
    """A classifier trained with binary cross entropy; each evaluation chooses the thresholds that suit it.

    Args:
        model: With a head of as many classes as the description has.
        about: What a checkpoint says of it, thresholds included.
        mix: Mixing, of labels as of images; and smoothing, from 0 and 1 towards one half.
    """

    trained_model: FastITPN

    def __init__(self, model: FastITPN, about: ClassifierDescription, mix: MixSettings):
        super().__init__("classify", model, about, MULTILABEL)
        self.label_smoothing = mix.label_smoothing
        kinds = [
            (kind(alpha=alpha), share)
            for kind, alpha, share in ((MixUp, mix.mixup, 1 - mix.switch), (CutMix, mix.cutmix, mix.switch))
            if alpha > 0
        ]
        transforms, shares = zip(*kinds, strict=True) if kinds else ((Identity(),), (1.0,))
        self.mixer = RandomChoice(transforms, p=shares)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of a micro-batch."""
        images, targets = self.mixer(batch["image"], batch["label"])
        targets = torch.lerp(targets, torch.full_like(targets, 0.5), self.label_smoothing)
        losses = {"loss": F.binary_cross_entropy_with_logits(self.trained_model(images), targets)}
        return self.with_scorers(losses, lambda said: F.binary_cross_entropy_with_logits(said[:, 0], targets))

    def evaluate(self, batches: Iterable[Batch], model: nn.Module) -> dict[str, float]:
        """Loss, mean AP and mean F1 in percent, at the thresholds that are best for these very images."""
        logits, labels = predict_logits(batches, model)
        thresholds = best_thresholds(probabilities(logits), labels)
        self._set_thresholds(thresholds.tolist())
        return multilabel_scores(logits, labels, thresholds)

    def extra_state(self) -> dict[str, Any]:
        """The thresholds of the last evaluation."""
        assert self.about.thresholds is not None
        return {"thresholds": list(self.about.thresholds)}

    def load_extra_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `extra_state` gave."""
        self._set_thresholds(state["thresholds"])

    def _set_thresholds(self, thresholds: Iterable[float]) -> None:
        self.about = replace(self.about, thresholds=tuple(thresholds))
