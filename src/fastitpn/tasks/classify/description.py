"""What a checkpoint says of a classifier."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from fastitpn.runs.description import ModelDescription


@dataclass(frozen=True, kw_only=True)
class ClassifierDescription(ModelDescription):
    """What a checkpoint says of a classifier.

    Attributes:
        classes: Names, in the order of the logits.
        thresholds: Probabilities (sigmoid) from which on an image has each label; None for one class for each image.
    """

    needed: ClassVar[tuple[str, ...]] = (*ModelDescription.needed, "classes")

    classes: tuple[str, ...]
    thresholds: tuple[float, ...] | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names, in the order of the logits."""
        return self.classes

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        more = {} if self.thresholds is None else {"thresholds": list(self.thresholds)}
        return {**super().to_dict(), "classes": list(self.classes), **more}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a checkpoint."""
        thresholds = tuple(content["thresholds"]) if "thresholds" in content else None
        return cls(**cls.shared(content), classes=tuple(content["classes"]), thresholds=thresholds)
