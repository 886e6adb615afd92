"""Image classification as a task."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from timm.data import Mixup
from timm.loss import SoftTargetCrossEntropy
from torch import Tensor, nn

from fastitpn.models.backbone import FastITPN
from fastitpn.models.layer_ids import layer_id, num_layers
from fastitpn.training.task import Batch, Task


@dataclass(frozen=True, kw_only=True)
class MixSettings:
    """How images and labels are mixed, as published for fine-tuning."""

    mixup: float = 0.8
    cutmix: float = 1.0
    switch: float = 0.5
    label_smoothing: float = 0.1


class ClassifyTask(Task):
    """A classifier trained with soft targets: mixup, cutmix and label smoothing.

    Args:
        model: With a head of as many classes as `description["classes"]` has.
        description: What `describe` returns: model name and arguments, classes, normalisation, px.
        mix: Mixing and smoothing.
    """

    def __init__(self, model: FastITPN, description: Mapping[str, Any], mix: MixSettings):
        super().__init__()
        self.trained_model = model
        self.description = dict(description)
        self.depths = tuple(len(stage.blocks) for stage in model.stages)  # type: ignore[arg-type]
        self.num_layers = num_layers(self.depths)
        self.label_smoothing = mix.label_smoothing
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
        images, labels = batch["image"], batch["label"]
        if self.mixer is None:
            loss = F.cross_entropy(self.trained_model(images), labels, label_smoothing=self.label_smoothing)
            return {"loss": loss}
        images, targets = self.mixer(images.clone(), labels)  # mixes in place
        return {"loss": self.criterion(self.trained_model(images), targets)}

    def evaluate(self, batches: Iterable[Batch], model: nn.Module) -> dict[str, float]:
        """Loss, top-1 and top-5 in percent."""
        return scores(*predict_logits(batches, model))

    def describe(self) -> dict[str, Any]:
        """Name and arguments of the model, classes, normalisation, px and acceleration."""
        return {"task": "classify", **self.description, "acceleration": self.trained_model.acceleration.to_dict()}

    def layer_id(self, name: str) -> int:
        """Layer of a parameter."""
        return layer_id(name, self.depths)


@torch.no_grad()
def predict_logits(batches: Iterable[Batch], model: nn.Module) -> tuple[Tensor, Tensor]:
    """Logits and labels of all batches, in their order.

    Returns:
        [n, classes] float32 and [n] int64, on the CPU.
    """
    logits, labels = [], []
    for batch in batches:
        logits.append(model(batch["image"]).float().cpu())
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
