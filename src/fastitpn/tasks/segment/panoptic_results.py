"""What a panoptic segmentation is."""

import functools
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastitpn.data.segmentation.panoptic_codes import (
    LABEL_BITS,
    Codes,
    Segment,
    codes_of_ids,
    colors_of_ids,
    ids_of_codes,
)
from fastitpn.data.segmentation.panoptic_labels import read_segments
from fastitpn.files import replacing
from fastitpn.tasks.segment.panoptic_pictures import segment_overlay
from fastitpn.tasks.segment.results import ClassShare, Segmentation

_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class PanopticSegmentation(Segmentation):
    """The segment of each pixel of one image; what is said of classes is true of it as well.

    Attributes:
        mask: The codes of the segments [H, W], see `data.panoptic_codes`, or the PNG of their ids.
        segments: Things and stuff, the largest first; in PNG and JSON their ids are 1, 2, ... in this order.
    """

    part = "segments_info"

    segments: tuple[Segment, ...]

    @functools.cached_property
    def codes(self) -> Codes:
        """Int32 [H, W]: for each pixel the code of its segment.

        Raises:
            InputError: They were written to a file that is gone.
        """
        if isinstance(self.mask, Path):
            return codes_of_ids(read_segments(self.mask), self.segments)
        return self.mask.astype(np.int32)

    @functools.cached_property
    def labels(self) -> NDArray[np.uint8]:
        """[H, W]: for each pixel the place of its class in `classes.names`, 255 for none."""
        return (self.codes & LABEL_BITS).astype(np.uint8)

    @property
    def cells(self) -> NDArray[Any]:
        """[H, W]: the codes of the segments."""
        return self.codes

    def index_image(self) -> Image.Image:
        """The ids of the segments as COCO has them in PNGs: red + 256 green + 65536 blue; 0 is none."""
        return Image.fromarray(colors_of_ids(ids_of_codes(self.codes, self.segments)))

    def summary(self, most: int = _NAMED) -> str:
        """The largest classes in words, things with their number."""
        return ", ".join(self._name(share) for share in self.found[:most]) or "nothing"

    @functools.cached_property
    def _numbers(self) -> Counter[int]:
        """Things of each class."""
        return Counter(segment.label for segment in self.segments if segment.number)

    def _over(self, image: Image.Image, cells: NDArray[Any], opacity: float) -> Image.Image:
        return segment_overlay(image, cells, self.classes.colors, opacity=opacity, clear=self.classes.background)

    def _name(self, share: ClassShare) -> str:
        number = self._numbers[share.label]
        return f"{number} x {share.name}" if number else share.name

    def _parts(self) -> list[dict[str, Any]]:
        ids = ids_of_codes(self.codes, self.segments)
        return [
            {
                "id": number,
                "category_id": segment.label + 1,
                "name": self.classes.names[segment.label],
                "isthing": int(segment.number > 0),
                "score": segment.score,
                "area": segment.area,
                "bbox": _box(ids == number),
                "iscrowd": 0,
            }
            for number, segment in enumerate(self.segments, start=1)
        ]

    def _masks(self) -> Iterator[NDArray[np.bool_]]:
        return (self.codes == segment.code for segment in self.segments)


def class_shares(segments: Sequence[Segment], names: Sequence[str], pixels: int) -> tuple[ClassShare, ...]:
    """The classes of segments, the largest first.

    Args:
        segments: The segments of one image.
        names: Names of all classes, in the order of their labels.
        pixels: Number of pixels of the image.
    """
    shares = []
    for label in {segment.label for segment in segments}:
        of_class = [segment for segment in segments if segment.label == label]
        area = sum(segment.area for segment in of_class)
        confidence = sum(segment.score * segment.area for segment in of_class) / area
        shares.append(ClassShare(name=names[label], label=label, share=area / pixels, confidence=confidence))
    return tuple(sorted(shares, key=lambda share: (-share.share, share.label)))


def write_coco_panoptic(
    results: Sequence[PanopticSegmentation], path: str | os.PathLike[str], *, pngs: Path, root: Path
) -> Path:
    """Writes a file of annotations in COCO's panoptic format, which `finetune segment` reads.

    Args:
        results: With their PNGs on the disk.
        path: The file; one of that name is replaced when all is written.
        pngs: Folder that the names of the PNGs begin at.
        root: Folder that the names of the images begin at.

    Raises:
        InputError: It could not be written.
    """
    images, annotations = [], []
    for number, result in enumerate(results, start=1):
        assert result.path is not None
        assert isinstance(result.mask, Path)
        row = result.to_json()
        size = {"width": row["width"], "height": row["height"]}
        images.append({"id": number, "file_name": result.path.relative_to(root).as_posix(), **size})
        png = result.mask.relative_to(pngs).as_posix()
        annotations.append({"image_id": number, "file_name": png, "segments_info": row["segments_info"]})
    classes = results[0].classes
    categories = [
        {"id": number, "name": name, "isthing": int(is_thing)}
        for number, (name, is_thing) in enumerate(zip(classes.names, classes.counted, strict=True), start=1)
    ]
    path = Path(path)
    with replacing(path) as file:
        file.write(json.dumps({"images": images, "annotations": annotations, "categories": categories}).encode())
    return path


def _box(mask: NDArray[np.bool_]) -> list[int]:
    """Left, top, width and height."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
