"""What a checkpoint says of a pre-trained model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from fastitpn.runs.description import ModelDescription


@dataclass(frozen=True, kw_only=True)
class PretrainDescription(ModelDescription):
    """What a checkpoint says of a pre-training's student.

    Attributes:
        teacher: "name" and "px" of what it learnt from.
    """

    needed: ClassVar[tuple[str, ...]] = ModelDescription.needed
    more_arguments: ClassVar[frozenset[str]] = frozenset(
        {
            "teacher_dim",
            "norm",
            "objective",
            "auxiliary_dim",
            "mlp_predictor",
            "teachers",
        }  # of create_pretraining_model
        | {"decoder_dim", "decoder_depth", "decoder_heads", "out_dim"}  # of create_pixel_model
    )

    teacher: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain types."""
        return {**super().to_dict(), "classes": None, "teacher": dict(self.teacher)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read a checkpoint; those of other programs may not name the teacher."""
        return cls(**cls.shared(content), teacher=content.get("teacher", {}))
