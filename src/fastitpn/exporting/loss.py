"""What a file in fewer bits loses, in points: of the metrics of its task, or else of a hundred decisions."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from fastitpn.errors import InputError
from fastitpn.exporting.exportable import Exportable
from fastitpn.exporting.pictures import Outputs, Pictures
from fastitpn.exporting.quality import compute_outputs, describe_quality
from fastitpn.exporting.runner import Runner
from fastitpn.exporting.shapes import Shapes
from fastitpn.exporting.subject import Subject
from fastitpn.training.metric import PERCENT


@dataclass(frozen=True, kw_only=True)
class Loss:
    """What a file loses.

    Attributes:
        points: Of the metric that loses most, or of 100 decisions; inf where the file gives numbers that are none.
        of: Name of that metric, "decisions", or "similarity".
        images: What it was measured on.
        quality: All metrics of file and model, see `describe_quality`; None without labels.
    """

    points: float
    of: str
    images: str
    quality: dict[str, Any] | None = None

    def in_words(self) -> str:
        """For people."""
        return f"{max(self.points, 0):.2f} points of {self.of} (on {self.images})"

    def to_json(self, allowed: float) -> dict[str, Any]:
        """Plain types, with how much it may lose."""
        return {"points": self.points, "of": self.of, "on": self.images, "max_loss": allowed}


class Judge:
    """Measures what files of a model lose on the same pictures, at their native size.

    Args:
        subject: The model.
        pictures: With labels the metrics count, else the decisions.
        shapes: Sizes that the files take.
    """

    def __init__(self, subject: Subject, pictures: Pictures, shapes: Shapes):
        self._subject, self._pictures, self._shapes = subject, pictures, shapes
        self.images = pictures.tensors(shapes.size)

    def measure(self, run: Runner) -> Loss:
        """What a file loses; below 0 where it gets more right.

        Raises:
            InputError: There are neither labels nor decisions.
        """
        given = compute_outputs(run, self.images, self._shapes)
        if not all(part.isfinite().all() for output in given for part in output):
            return Loss(points=float("inf"), of="numbers", images=self._pictures.source)
        whole, truth = self._subject.whole, self._pictures.truth
        if whole is None or truth is None:
            return self._of_decisions(given)
        return self._of_metrics(whole, self._scores_of_model, whole.score(given, truth))

    @cached_property
    def _expected(self) -> list[Outputs]:
        with torch.no_grad():
            return compute_outputs(self._subject.network, self.images, self._shapes)

    @cached_property
    def _scores_of_model(self) -> dict[str, float]:
        assert self._subject.whole is not None
        assert self._pictures.truth is not None
        return self._subject.whole.score(self._expected, self._pictures.truth)

    def _of_metrics(self, whole: Exportable, before: dict[str, float], after: dict[str, float]) -> Loss:
        """Of the metric that loses most."""
        lost = {}
        for metric in whole.metrics:
            if metric.name in before:
                drop = before[metric.name] - after[metric.name]
                drop = drop if metric.higher_is_better else -drop
                lost[metric.name] = drop if metric.unit == PERCENT else 100 * drop / max(abs(before[metric.name]), 1e-9)
        worst = max(lost, key=lambda name: lost[name])
        quality = describe_quality(self._subject, before, after, self._pictures, self._shapes)
        return Loss(points=lost[worst], of=worst, images=self._pictures.source, quality=quality)

    def _of_decisions(self, given: list[Outputs]) -> Loss:
        """Without labels."""
        network = self._subject.network
        same, number = 0.0, 0.0
        for ours, theirs in zip(given, self._expected, strict=True):
            alike, of_image = network.agreement([part[None] for part in ours], [part[None] for part in theirs])
            same, number = same + alike, number + of_image
        if not number:
            raise InputError(
                f"the model decides nothing on {self._pictures.source}, so what is lost cannot be measured",
                where="data",
                expected="images with what it was trained to find",
                fix="data=LABELLED",
            )
        of = "decisions" if network.decides else "similarity"
        return Loss(points=100 * (1 - same / number), of=of, images=self._pictures.source)
