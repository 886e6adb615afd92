"""Keys of what prepares a pre-training: `pretrain cache-features` and `data shard`."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fastitpn.config.fields import Config
from fastitpn.config.types import Count, Positive
from fastitpn.data.images.keys import ImageKeys
from fastitpn.pretraining.teachers.registry import TEACHERS
from fastitpn.training.config import DeviceConfig


@dataclass(frozen=True, kw_only=True)
class StoredTeacherConfig(Config):
    """Teacher."""

    _shorthand: ClassVar[str | None] = "name"

    name: str
    """Network that gives the features: timm:NAME, or several joined by +; teacher=NAME for short."""
    weights: tuple[Path | None, ...] | None = None
    """File with the teacher's weights, one for each of several; none uses those of timm."""
    px: tuple[Count | None, ...] | None = None
    """Image size for the teacher, one for each of several; none uses that of the teacher."""
    projection: bool = False
    """For CLIP: features after the projection to the space that images share with text."""

    def problems(self) -> list[str]:
        """Checks that there is one value for each teacher."""
        count = len(TEACHERS.apart(self.name))
        return [
            f"{key}: expected {count} values, one for each teacher, got {len(values)}"
            for key, values in (("weights", self.weights), ("px", self.px))
            if values is not None and len(values) != count
        ]

    def teachers(self) -> "list[OneStored]":
        """Each of them."""
        names = TEACHERS.apart(self.name)
        nothing = (None,) * len(names)
        return [
            OneStored(name=name, weights=weights, px=px, projection=self.projection)
            for name, weights, px in zip(names, self.weights or nothing, self.px or nothing, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class OneStored:
    """One teacher whose features are stored; the attributes are those of `StoredTeacherConfig`."""

    name: str
    weights: Path | None
    px: int | None
    projection: bool

    @property
    def argument(self) -> str:
        """What stands after the colon of the name."""
        return self.name.partition(":")[2]

    @property
    def folder_name(self) -> str:
        """Of its features, beside those of others."""
        return self.argument.replace("/", "_")


@dataclass(frozen=True, kw_only=True)
class CacheFeaturesConfig(DeviceConfig):
    """Features to store."""

    _command: ClassVar[str] = "pretrain cache-features"

    data: Path
    """Images, as for pretrain."""
    teacher: StoredTeacherConfig
    dims: Count | None = None
    """Number of principal components of the standardised features to keep, for smaller files; none keeps all."""
    batch: Count = 64
    """Images in one batch."""
    out: Path = Path("runs/features")
    """Folder for the features, with a folder for each of several teachers; then pretrain teacher=features:FOLDER."""
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
