"""What a checkpoint says of a detector."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.runs.description import ModelDescription
from fastitpn.tasks.detect.heads.registry import DETECTORS
from fastitpn.tasks.heads import HeadSpec

_LEAST_PX = 32


@dataclass(frozen=True, kw_only=True)
class DetectorDescription(ModelDescription):
    """What a checkpoint says of a detector.

    Attributes:
        detector: "name", one of `DETECTORS`, and "arguments" of it.
        classes: Names, and their ids in the annotations of the training.
        max_px: Longest side of an image in pixels, at most; `px` is the shorter one.
    """

    needed: ClassVar[tuple[str, ...]] = (
        "model",
        "detector",
        "classes",
        "category_ids",
        "normalisation",
        "px",
        "max_px",
    )

    detector: Mapping[str, Any]
    classes: DetectionClasses
    max_px: int

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names, in the order of the labels."""
        return self.classes.names

    @property
    def head(self) -> HeadSpec[Any]:
        """What kind of detector it is."""
        return DETECTORS[self.detector["name"]]

    def at(self, px: int | None) -> Self:
        """The description with another shorter side, and a longest one in proportion; None keeps both."""
        if px is None:
            return self
        return replace(self, px=px, max_px=max(round(px * self.max_px / self.px), _LEAST_PX))

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        shared = super().to_dict()
        return {
            "model": shared["model"],
            "detector": dict(self.detector),
            "classes": list(self.classes.names),
            "category_ids": list(self.classes.ids),
            **shared,
            "max_px": self.max_px,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a checkpoint."""
        return cls(
            **cls.shared(content),
            detector=content["detector"],
            classes=DetectionClasses(names=tuple(content["classes"]), ids=tuple(content["category_ids"])),
            max_px=content["max_px"],
        )
