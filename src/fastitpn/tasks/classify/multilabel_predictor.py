"""From a classifier to the labels of images, any number for each."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fastitpn.inference.sources import Source
from fastitpn.tasks.classify.multilabel_results import LabelSet, LabelSets
from fastitpn.tasks.classify.multilabel_scores import probabilities
from fastitpn.tasks.classify.prediction import ClassifyPrediction
from fastitpn.tasks.classify.predictor import Predictor
from fastitpn.tasks.classify.results import Classification


class MultilabelPredictor(Predictor):
    """Names all labels of images whose probability reaches the label's threshold. `top_k` says how many candidates.

    Args:
        model: As for `Predictor`; each logit is of a label by itself.
        thresholds: Least probability of each class, in [0, 1].
        **arguments: Classes, px, mean, std, device and precision, as for `Predictor`.
    """

    results = LabelSets

    def __init__(self, model: nn.Module, *, thresholds: Sequence[float], **arguments: Any):
        super().__init__(model, **arguments)
        self.thresholds = tuple(thresholds)

    @torch.inference_mode()
    def _rank(self, pixels: Tensor, top_k: int) -> list[tuple[list[float], list[int]]]:
        """Scores and classes per image: of all that reach their threshold, and of the likeliest."""
        scores, order = probabilities(self._model(pixels.to(self.device))).sort(dim=1, descending=True)
        kept = (scores >= torch.tensor(self.thresholds, dtype=scores.dtype)[order]).index_fill(
            1, torch.arange(min(top_k, len(self.classes))), True
        )
        rows = zip(scores, order, kept, strict=True)
        return [(of_image[keep].tolist(), classes[keep].tolist()) for of_image, classes, keep in rows]

    def _result(self, source: Source, index: int, scores: list[float], classes: list[int]) -> LabelSet:
        ranked = list(zip(classes, scores, strict=True))
        chosen = [(self.classes[place], score) for place, score in ranked if score >= self.thresholds[place]]
        return LabelSet(
            index=index,
            path=source.path,
            labels=tuple(name for name, _ in chosen),
            scores=tuple(score for _, score in chosen),
            candidates=tuple((self.classes[place], score) for place, score in ranked),
            classes=self.classes,
            source=source,
        )


class MultilabelPrediction(ClassifyPrediction):
    """The labels of images, and of each frame of a video in a corner of it."""

    columns = ("labels", "below their thresholds")

    def row(self, result: Classification) -> tuple[object, ...]:
        """The labels with their scores, and the next two."""
        assert isinstance(result, LabelSet)
        others = [f"{name} {score:.2f}" for name, score in result.candidates if name not in result.labels]
        return result.summary(), ", ".join(others[:2])
