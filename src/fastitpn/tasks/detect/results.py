"""What a detection is."""

import functools
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_masks
from numpy.typing import NDArray
from PIL import Image

from fastitpn.data.segmentation.classes import distinct_colors
from fastitpn.errors import InputError
from fastitpn.files import replacing
from fastitpn.inference.results import SHEET_IMAGES, Results
from fastitpn.inference.sources import Source
from fastitpn.reporting.pictures import contact_sheet
from fastitpn.tasks.detect.pictures import Rectangle, Thing, draw_things

_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class DetectedThing:
    """One thing in an image.

    Attributes:
        name: Of its class.
        label: Place of the class among the classes.
        score: How sure the network is, in [0, 1].
        box: Left, top, right, bottom in pixels of the image.
        rle: Its mask, of the size of the image, as run lengths (`size`, `counts`) like COCO's tools pack them; None
            from a network without masks.
    """

    name: str
    label: int
    score: float
    box: Rectangle
    rle: Mapping[str, Any] | None = field(default=None, repr=False)

    @functools.cached_property
    def mask(self) -> NDArray[np.bool_] | None:
        """Array [H, W] of bool, True where the thing is; None from a network without masks."""
        return None if self.rle is None else coco_masks.decode(dict(self.rle)).astype(bool)

    def to_json(self) -> dict[str, Any]:
        """Plain types: class, label, score, box, and the mask in COCO's compressed run lengths."""
        row: dict[str, Any] = {"class": self.name, "label": self.label, "score": self.score, "box": list(self.box)}
        return row if self.rle is None else row | {"mask": self.rle_json()}

    def rle_json(self) -> dict[str, Any]:
        """The mask's run lengths with text instead of bytes."""
        assert self.rle is not None
        return {"size": list(self.rle["size"]), "counts": self.rle["counts"].decode("ascii")}


@dataclass(frozen=True, kw_only=True)
class ImageDetections:
    """The things in one image.

    Attributes:
        index: Place of the image among all that were given, those of folders counted one by one.
        path: Its file; None for an image that was given as a picture, an array or a tensor.
        size: Width and height in px.
        things: The surest first.
        classes: Names of all classes.
        source: The image itself, for `draw`.
    """

    index: int
    path: Path | None
    size: tuple[int, int]
    things: tuple[DetectedThing, ...]
    classes: tuple[str, ...] = field(repr=False)
    source: Source = field(repr=False, compare=False)

    def draw(self, px: int | None = None, *, opacity: float = 0.4, names: bool = True) -> Image.Image:
        """The image with boxes, masks, names and scores, see `draw_things`.

        Args:
            px: Longest side of the picture; None for that of the image, within 480 to 2048.
            opacity: Of the masks, 0 to 1.
            names: Write names and scores.

        Raises:
            InputError: The file is gone.
        """
        colors = distinct_colors(self.classes)
        things = [
            Thing(one.box, f"{one.name} {one.score:.2f}" if names else "", colors[one.label], one.rle)
            for one in self.things
        ]
        return draw_things(self.source.read(), things, px=px, opacity=opacity)

    def summary(self, most: int = _NAMED) -> str:
        """How many things of which class, in words."""
        counts = Counter(one.name for one in self.things).most_common()
        text = ", ".join(f"{count} {name}" for name, count in counts[:most])
        return f"{text}{', ...' * (len(counts) > most)}" or "nothing"

    def to_json(self) -> dict[str, Any]:
        """Plain types: index, path, size and the things."""
        return {
            "index": self.index,
            "path": None if self.path is None else str(self.path),
            "width": self.size[0],
            "height": self.size[1],
            "things": [one.to_json() for one in self.things],
        }


@dataclass(frozen=True)
class Detections(Results[ImageDetections]):
    """The results for all images, in the order in which they were given."""

    def contact_sheet(self, *, columns: int = 6, px: int = 240, max_images: int = SHEET_IMAGES) -> Image.Image:
        """The first images with their boxes and masks, in one picture.

        Args:
            columns: Images in a row.
            px: Side of each.
            max_images: How many.

        Raises:
            InputError: There are no predictions, or a file is gone.
        """
        if not self.results:
            raise InputError("there are no predictions to draw", expected="at least one image")
        items = [
            (one.draw(px, names=False), one.source.caption(one.summary()), None) for one in self.results[:max_images]
        ]
        return contact_sheet(items, columns, tile_px=px)

    def to_coco(
        self, path: str | os.PathLike[str], *, category_ids: Sequence[int] | None = None, root: Path | None = None
    ) -> Path:
        """Writes a file of annotations in COCO's format, which tools to annotate open and `finetune detect` reads.

        Args:
            path: The file; one of that name is replaced when all is written.
            category_ids: Of the classes; None for 1, 2, ...
            root: Folder that file names begin at; None writes them as they are.

        Raises:
            InputError: It could not be written.
        """
        names = self.results[0].classes if self.results else ()
        ids = category_ids or range(1, len(names) + 1)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, one in enumerate(self.results, start=1):
            place = one.path if one.path is None or root is None else one.path.relative_to(root)
            file = one.source.name if place is None else place.as_posix()
            images.append({"id": number, "file_name": file, "width": one.size[0], "height": one.size[1]})
            for thing in one.things:
                annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": ids[thing.label]}
                annotations.append(annotation | _coco_fields(thing))
        categories = [{"id": number, "name": name} for number, name in zip(ids, names, strict=True)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        path = Path(path)
        with replacing(path) as file_to_write:
            file_to_write.write(json.dumps(content).encode("utf-8"))
        return path

    def __repr__(self) -> str:
        shown = "; ".join(result.summary() for result in self.results[:2])
        more = "; ..." if len(self) > 2 else ""
        return f"Detections({len(self)} image{'s' * (len(self) != 1)}: {shown}{more}{self._others()})"


def _coco_fields(thing: DetectedThing) -> dict[str, Any]:
    left, top, right, bottom = thing.box
    row = {"bbox": [left, top, right - left, bottom - top], "score": thing.score, "iscrowd": 0}
    if thing.rle is None:
        return row | {"area": (right - left) * (bottom - top)}
    return row | {"area": int(coco_masks.area(dict(thing.rle))), "segmentation": thing.rle_json()}
