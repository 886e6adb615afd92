"""A teacher's features of whole images on disk: maps in half precision, many images to a file, read without copying.

A folder holds `index.json` (what the features are, and the names of the images in their order) and files
`00000.npy`, ... of shape [images, side * side, dim]. A crop of an image gets the crop of its map.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fastitpn.data.images.transforms import Crop
from fastitpn.errors import InputError
from fastitpn.files import replacing, write_text
from fastitpn.json_text import from_json
from fastitpn.listing import is_empty, matching
from fastitpn.sums import record

INDEX = "index.json"
FORMAT = "fastitpn-features-1"
SHARD_MIB = 256
"""Size of a file, about."""


@dataclass(frozen=True, kw_only=True)
class FeatureIndex:
    """What a folder of features holds."""

    teacher: str
    """What made them, for messages."""
    px: int
    """Side to which whole images were resized."""
    side: int
    """Features per side of an image."""
    dim: int
    """Width of a feature."""
    per_shard: int
    """Images in each file but the last."""
    images: tuple[str, ...]
    """Names of the images, in their order."""
    components_of: int | None = None
    """Width of the features of which these are the main components; None if they are as the teacher gave them."""

    @property
    def num_shards(self) -> int:
        """Files that make the whole."""
        return -(-len(self.images) // self.per_shard)

    def shape(self, shard: int) -> tuple[int, int, int]:
        """Shape of the array in a file."""
        images = min(self.per_shard, len(self.images) - shard * self.per_shard)
        return images, self.side**2, self.dim


def images_per_shard(side: int, dim: int) -> int:
    """So many that a file has about `SHARD_MIB`."""
    return max(1, SHARD_MIB * 2**20 // (2 * side * side * dim))


def shard_path(folder: Path, shard: int) -> Path:
    """The file of a shard."""
    return folder / f"{shard:05}.npy"


def write_index(folder: Path, index: FeatureIndex) -> None:
    """Begins a folder of features, or goes on with the same one.

    Raises:
        InputError: The folder holds something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / INDEX).is_file():
        if read_index(folder) != index:
            raise InputError(
                "the folder holds features of other images or of another teacher",
                where=folder,
                expected=f"a new folder, or one of the same {len(index.images)} images by {index.teacher}",
                fix="out=ANOTHER_FOLDER",
            )
    elif not is_empty(folder):
        raise InputError("the folder is not empty", where=folder, expected="a new folder", fix="out=ANOTHER_FOLDER")
    else:
        text = json.dumps({"format": FORMAT, **asdict(index)}, indent=1)
        write_text(folder / INDEX, text)
        record(folder, INDEX)


def write_shard(folder: Path, shard: int, features: Tensor) -> None:
    """Writes the features of one file's images, [images, side * side, dim]; never half a file."""
    array = np.ascontiguousarray(features.to("cpu", torch.float16).numpy())
    with replacing(shard_path(folder, shard)) as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)  # `np.save` tells no cause where it cannot write
    record(folder, shard_path(folder, shard).name)


def read_index(folder: Path) -> FeatureIndex:
    """What a folder holds.

    Raises:
        InputError: It is no folder of features.
    """
    expected = "a folder that `fastitpn pretrain cache-features` wrote"
    fix = "fastitpn pretrain cache-features data=FOLDER teacher=timm:NAME out=FOLDER_OF_FEATURES"
    inside = [path.parent for path in matching(folder, f"*/{INDEX}")]
    if inside:
        expected, fix = "one teacher's features", f"teacher={'+'.join(f'features:{path}' for path in inside)}"
    try:
        content = from_json((folder / INDEX).read_text(encoding="utf-8"))
        if content.pop("format") != FORMAT:
            raise KeyError("format")
        index = FeatureIndex(**{**content, "images": tuple(content["images"])})
        if not _is_right(index):
            raise ValueError("sizes and names of images")
        return index
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"there are no stored features here: {type(error).__name__} of {INDEX}",
            where=folder,
            expected=expected,
            fix=fix,
        ) from error


def _is_right(index: FeatureIndex) -> bool:
    sizes = (index.px, index.side, index.dim, index.per_shard, index.components_of or 1)
    counted = all(type(size) is int and 0 < size < 1 << 31 for size in sizes)
    return counted and all(isinstance(name, str) for name in (index.teacher, *index.images))


class FeatureShards:
    """Stored features by the name of their image.

    Args:
        folder: Folder that `pretrain cache-features` wrote.
        names: Names of the images of a data set, in its order.
        side: Features per side of a crop.

    Raises:
        InputError: The folder is incomplete, or lacks images of the data set.
    """

    def __init__(self, folder: Path, names: Sequence[str], *, side: int):
        self.folder, self.side = folder, side
        self.index = read_index(folder)
        self._check_complete()
        place = {name: number for number, name in enumerate(self.index.images)}
        missing = [name for name in names if name not in place]
        if missing:
            raise InputError(
                f"{len(missing)} of {len(names)} images have no stored features, such as {missing[0]}",
                where=folder,
                expected="features of every image of data",
                fix="fastitpn pretrain cache-features with the same data and another out=",
            )
        self._places = np.array([place[name] for name in names], dtype=np.int64)
        self._shards: dict[int, np.ndarray] = {}

    def _check_complete(self) -> None:
        index = self.index
        wrong = [number for number in range(index.num_shards) if not self._is_whole(number)]
        if wrong:
            raise InputError(
                f"the features are incomplete: {len(wrong)} of {index.num_shards} files are missing or damaged",
                where=shard_path(self.folder, wrong[0]),
                expected=f"{list(index.shape(wrong[0]))} numbers in half precision",
                fix="delete damaged files and run the same `fastitpn pretrain cache-features` again: it resumes",
            )

    def _is_whole(self, shard: int) -> bool:
        try:
            return np.load(shard_path(self.folder, shard), mmap_mode="r").shape == self.index.shape(shard)
        except Exception:  # NumPy reads the header of a file as Python, which can fail in any way
            return False

    def crop(self, index: int, crop: Crop) -> Tensor:
        """The map of a crop of an image.

        Args:
            index: Place of the image in the data set.
            crop: Box of the crop, in shares of the image, and whether it is flipped.

        Returns:
            [dim, side, side] in float32.
        """
        shard, row = divmod(int(self._places[index]), self.index.per_shard)
        if shard not in self._shards:
            self._shards[shard] = np.load(shard_path(self.folder, shard), mmap_mode="r")
        values = torch.from_numpy(np.array(self._shards[shard][row], dtype=np.float32))
        side = self.index.side
        maps = values.T.reshape(1, -1, side, side)  # [1, dim, side, side]
        return F.grid_sample(maps, _grid(crop, self.side), padding_mode="border", align_corners=False)[0]


def _grid(crop: Crop, side: int) -> Tensor:
    """Where the features of a crop lie in the whole image's map, for `grid_sample`: [1, side, side, 2] in -1..1."""
    steps = (torch.arange(side, dtype=torch.float32) + 0.5) / side
    x = crop.left + crop.width * (steps.flip(0) if crop.flipped else steps)
    y = crop.top + crop.height * steps
    rows, columns = torch.meshgrid(2 * y - 1, 2 * x - 1, indexing="ij")
    return torch.stack((columns, rows), dim=-1).unsqueeze(0)
