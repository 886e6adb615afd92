"""The configurations of `fastitpn visualize`, which share what is looked at and where the pictures go."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fastitpn.config.types import Count, ImagePx
from fastitpn.data.images.keys import ImageKeys
from fastitpn.training.config import AccelerationName, ChoiceConfig

Place = Annotated[int, Field(ge=0)]
LevelName = Literal["4", "8", "16", "32", "64", "trunk"]
"""A level of the pyramid by its stride, or the last map of the trunk."""


@dataclass(frozen=True, kw_only=True)
class VisualizeConfig(ChoiceConfig):
    """Pictures."""

    _positional: ClassVar[tuple[str, ...]] = ("checkpoint", "images")
    _alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("checkpoint", "model"), ("checkpoint", "weights"))

    checkpoint: Path | None = None
    """Checkpoint file or run folder (its best checkpoint) of any task; or give model and weights."""
    images: Path
    """An image, a folder of images, or a pattern in quotes such as 'photos/**/*.jpg'."""
    acceleration: AccelerationName | None = None
    """Fewer tokens (migration) in windows (gathering); none uses that of the checkpoint."""
    px: ImagePx | None = None
    """Image size in pixels; none uses that of the checkpoint or the weights, else of the model."""
    limit: Count = 16
    """Images to draw at most, spread evenly over the folder."""
    model: str | None = None
    """Instead of a checkpoint: name of the model, such as fastitpn_base; none uses that of the weights."""
    weights: Path | None = None
    """Instead of a checkpoint: file with weights, or published:NAME; none are random weights, which show nothing."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto uses a GPU if there is one."""
    out: Path = Path("runs/visualize")
    """Folder for the images and the report."""
    image: ImageKeys = ImageKeys()

    def problems(self) -> list[str]:
        """Checks that there is a model."""
        if self.checkpoint is None and self.model is None and self.weights is None:
            return ["checkpoint: required, or model=NAME with weights=FILE; got none of them"]
        return []


@dataclass(frozen=True, kw_only=True)
class VisualizeTokensConfig(VisualizeConfig):
    """Pictures of tokens."""

    _command: ClassVar[str] = "visualize tokens"

    acceleration: AccelerationName | None = None
    """Acceleration to show; none uses that of the checkpoint, or balanced if that is off."""

    def problems(self) -> list[str]:
        """Also that there is something to show."""
        result = super().problems()
        if self.acceleration == "off":
            result.append("acceleration: expected balanced or fast, since with off no token leaves; got off")
        return result


@dataclass(frozen=True, kw_only=True)
class VisualizeFeaturesConfig(VisualizeConfig):
    """Pictures of features."""

    _command: ClassVar[str] = "visualize features"

    levels: tuple[LevelName, ...] | None = None
    """Strides of the pyramid's levels (without a pyramid: of the trunk's stages), and trunk; none draws all."""
    out: Path = Path("runs/visualize/features")


@dataclass(frozen=True, kw_only=True)
class VisualizeFromTokenConfig(VisualizeConfig):
    """One token."""

    token: tuple[Place, Place] | None = None
    """The token, as row,column in the map of px / 16 by px / 16 tokens, from 0; none: the middle."""


@dataclass(frozen=True, kw_only=True)
class VisualizeAttentionConfig(VisualizeFromTokenConfig):
    """Pictures of attention."""

    _command: ClassVar[str] = "visualize attention"

    block: tuple[Count, ...] | None = None
    """Blocks of stage 3 to draw, 1 being the first; none draws the last."""
    heads: Literal["each", "mean"] = "each"
    """Draw every head beside their mean, or only the mean."""
    out: Path = Path("runs/visualize/attention")


@dataclass(frozen=True, kw_only=True)
class VisualizeSimilarityConfig(VisualizeFromTokenConfig):
    """Pictures of similarity."""

    _command: ClassVar[str] = "visualize similarity"

    levels: tuple[LevelName, ...] | None = None
    """Strides of the pyramid's levels (without a pyramid: of the trunk's stages), and trunk; none draws all."""
    out: Path = Path("runs/visualize/similarity")
