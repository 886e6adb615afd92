"""Image classification as a task."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from timm.data import Mixup
from timm.loss import SoftTargetCrossEntropy
from torch import Tensor, nn

from fastitpn.inference.auto_batch import AutoBatch
from fastitpn.models.backbone import FastITPN
from fastitpn.tasks.classify.description import ClassifierDescription
from fastitpn.tasks.classify.metrics import METRICS
from fastitpn.tasks.task import BackboneTask
from fastitpn.training.task import Batch


@dataclass(frozen=True, kw_only=True)
class MixSettings:
    """How images and labels are mixed, as published for fine-tuning."""

    mixup: float = 0.8
    cutmix: float = 1.0
    switch: float = 0.5
    label_smoothing: float = 0.1


class ClassifyTask(BackboneTask[ClassifierDescription]):
    """A classifier trained with soft targets: mixup, cutmix and label smoothing.

    Args:
        model: With a head of as many classes as the description has.
        about: What a checkpoint says of it.
        mix: Mixing and smoothing.
        class_weights: [classes], of each class in the loss; None for no weights.
    """

    trained_model: FastITPN
    class_weights: Tensor | None

    def __init__(
        self, model: FastITPN, about: ClassifierDescription, mix: MixSettings, class_weights: Tensor | None = None
    ):
        super().__init__("classify", model, about, METRICS)
        self.label_smoothing = mix.label_smoothing
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.criterion = SoftTargetCrossEntropy()
        self.mixer = None
        if mix.mixup > 0 or mix.cutmix > 0:
            self.mixer = Mixup(
                mixup_alpha=mix.mixup,
                cutmix_alpha=mix.cutmix,
                switch_prob=mix.switch,
                label_smoothing=mix.label_smoothing,
                num_classes=model.num_classes,
            )

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """The loss of a micro-batch."""
        images, targets = batch["image"], batch["label"]
        if self.mixer is not None:
            images, targets = self.mixer(images.clone(), targets)  # mixes in place

        def loss(logits: Tensor) -> Tensor:
            if self.mixer is None:
                return F.cross_entropy(logits, targets, self.class_weights, label_smoothing=self.label_smoothing)
            if self.class_weights is not None:
                return F.cross_entropy(logits, targets, self.class_weights)
            mixed: Tensor = self.criterion(logits, targets)
            return mixed

        losses = {"loss": loss(self.trained_model(images))}
        return self.with_scorers(losses, lambda predicted: loss(predicted[:, 0]))

    def evaluate(self, batches: Iterable[Batch], model: nn.Module) -> dict[str, float]:
        """Loss, top-1 and top-5 in percent."""
        return scores(*predict_logits(batches, model))


@torch.no_grad()
def predict_logits(batches: Iterable[Batch], model: nn.Module) -> tuple[Tensor, Tensor]:
    """Logits and labels of all batches, in their order; where memory runs out, of half a batch at a time.

    Returns:
        [n, classes] float32 and [n] int64, on the CPU.
    """
    logits, labels = [], []
    auto_batch = AutoBatch("images", "a smaller px or model, or device=cpu")

    def in_parts(images: Tensor, size: int) -> Tensor:
        return torch.cat([model(part).float().cpu() for part in images.split(size)])

    for batch in batches:
        images = batch["image"]
        logits.append(auto_batch(functools.partial(in_parts, images), len(images)))
        labels.append(batch["label"].cpu())
    return torch.cat(logits), torch.cat(labels)


def scores(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Cross entropy, top-1 and top-5 accuracy in percent (top-5 is left out below six classes)."""
    ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hits = ranked == labels[:, None]
    result = {"loss": F.cross_entropy(logits, labels).item(), "top1": 100 * hits[:, 0].float().mean().item()}
    if logits.shape[1] > 5:
        result["top5"] = 100 * hits.any(1).float().mean().item()
    return result


def confusion_matrix(logits: Tensor, labels: Tensor) -> Tensor:
    """Counts [classes, classes]: row is the true class, column the predicted one."""
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(1), minlength=classes**2).reshape(classes, classes)
