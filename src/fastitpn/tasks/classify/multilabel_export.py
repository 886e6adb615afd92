"""A classifier with several labels for each image to export."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastitpn.data.classification.multilabel import multilabel_part
from fastitpn.exporting.network import relative_difference
from fastitpn.exporting.pictures import Outputs, Pictures
from fastitpn.models.backbone import FastITPN
from fastitpn.tasks.classify.description import ClassifierDescription
from fastitpn.tasks.classify.export import ClassifyExport, ClassifyNetwork
from fastitpn.tasks.classify.metrics import MULTILABEL
from fastitpn.tasks.classify.multilabel_scores import multilabel_scores, probabilities


class MultilabelNetwork(ClassifyNetwork):
    """Logits [B, classes], of which each is compared with its threshold, after a sigmoid.

    Args:
        model: The classifier.
        thresholds: Least probability of each class; needed to compare, not to run.
    """

    def __init__(self, model: FastITPN, thresholds: Sequence[float] = ()):
        super().__init__(model)
        self.thresholds = tuple(thresholds)

    def compare(self, given: list[Tensor], expected: list[Tensor]) -> tuple[float, int, int]:
        """The difference of the logits, and how many labels are given or not as the model does."""
        difference = relative_difference(given[0], expected[0])
        if given[0].shape != expected[0].shape:
            return difference, 0, 0
        limits = torch.tensor(self.thresholds, dtype=torch.float64)
        same = (probabilities(given[0]) >= limits) == (probabilities(expected[0]) >= limits)
        return difference, int(same.sum()), same.numel()


class MultilabelExport(ClassifyExport):
    """A classifier with several labels for each image."""

    noun = "multi-label image classifier"

    def __init__(self, model: FastITPN, about: ClassifierDescription):
        super().__init__(model, mean=about.mean, std=about.std, classes=about.classes)
        assert about.thresholds is not None
        self.thresholds = about.thresholds
        self.network = MultilabelNetwork(model, about.thresholds).eval()
        self.metrics = MULTILABEL[:2]

    def labelled(self, data: Path) -> Pictures | None:
        """Images of a table of labels."""
        images = multilabel_part(data, None, self.classes)
        return Pictures(images=images.paths, truth=list(torch.from_numpy(images.labels)))

    def score(self, outputs: Sequence[Outputs], truth: Sequence[Any]) -> dict[str, float]:
        """Mean AP and F1 in percent."""
        thresholds = torch.tensor(self.thresholds, dtype=torch.float64)
        scores = multilabel_scores(
            torch.stack([logits for logits, *_ in outputs]), torch.stack(list(truth)), thresholds
        )
        return {metric.name: scores[metric.name] for metric in self.metrics}

    def describe(self) -> dict[str, Any]:
        """That each logit is of a label by itself, and from which probability on an image has it."""
        return {"multilabel": True, "activation": "sigmoid", "thresholds": list(self.thresholds)}

    def describe_for_transformers(self) -> dict[str, Any]:
        """That its pipelines take a sigmoid of each logit, not a softmax over all."""
        return {"problem_type": "multi_label_classification"}
