"""Keys of what prepares a pre-training: `pretrain cache-features` and `data shard`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fastitpn.config.fields import Config
from fastitpn.config.types import Count, Positive
from fastitpn.data.images.keys import ImageKeys
from fastitpn.training.config import DeviceConfig


@dataclass(frozen=True, kw_only=True)
class StoredTeacherConfig(Config):
    """Teacher."""

    _shorthand: ClassVar[str | None] = "name"

    name: str
    """What makes the features: timm:NAME; teacher=NAME for short."""
    weights: Path | None = None
    """File with the teacher's weights; none takes those that timm knows."""
    px: Count | None = None
    """Side to which whole images are resized for the teacher; none takes the teacher's own."""
    projection: bool = False
    """For CLIP: features after the projection to the space that images share with text."""

    @property
    def argument(self) -> str:
        """What stands after the colon of the name."""
        return self.name.partition(":")[2]


@dataclass(frozen=True, kw_only=True)
class CacheFeaturesConfig(DeviceConfig):
    """Features to store."""

    _command: ClassVar[str] = "pretrain cache-features"

    data: Path
    """Images, as for pretrain."""
    teacher: StoredTeacherConfig
    dims: Count | None = None
    """Keep so many principal components of the standardised features: smaller files, faster steps; none keeps all."""
    batch: Count = 64
    """Images in one batch."""
    out: Path = Path("runs/features")
    """Folder for the features; then pretrain with teacher=features:FOLDER."""
    image: ImageKeys = ImageKeys()


@dataclass(frozen=True, kw_only=True)
class DataShardConfig(Config):
    """Shards."""

    _command: ClassVar[str] = "data shard"

    data: Path
    """Folder of images, searched with its sub-folders, or a list of them."""
    shard_mib: Positive = 512.0
    """Size of a shard in MiB, about."""
    out: Path = Path("runs/shards")
    """Folder for the shards."""
