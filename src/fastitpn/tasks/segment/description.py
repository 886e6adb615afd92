"""What a checkpoint says of a segmentation network."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.runs.description import ModelDescription


@dataclass(frozen=True, kw_only=True)
class SegmenterDescription(ModelDescription):
    """A segmentation network.

    Attributes:
        head: "name" and "arguments" of the head, and "features": which maps it sees.
        classes: Names, colours, and how the masks of its training were numbered.
        resize: Whether images are brought to `px`.
    """

    needed: ClassVar[tuple[str, ...]] = ("model", "head", "classes", "colors", "masks", "normalisation", "px", "resize")

    head: Mapping[str, Any]
    classes: SegmentationClasses
    resize: bool

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names, in the order of the labels."""
        return self.classes.names

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        classes = self.classes
        masks: dict[str, Any] = {
            "ignore_index": classes.ignore_index,
            "reduce_zero_label": classes.reduce_zero_label,
        }
        if classes.things is not None:
            masks["things"] = list(classes.things)
        if classes.values:
            masks["values"] = list(classes.values)
        return {
            **super().to_dict(),
            "head": dict(self.head),
            "classes": list(classes.names),
            "colors": [list(color) for color in classes.colors],
            "masks": masks,
            "resize": self.resize,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a checkpoint."""
        masks = content["masks"]
        things = masks.get("things")
        classes = SegmentationClasses(
            names=tuple(content["classes"]),
            colors=tuple((red, green, blue) for red, green, blue in content["colors"]),
            ignore_index=masks["ignore_index"],
            reduce_zero_label=masks["reduce_zero_label"],
            values=tuple(masks.get("values", ())),
            things=None if things is None else tuple(things),
        )
        return cls(**cls.shared(content), head=content["head"], classes=classes, resize=content["resize"])
