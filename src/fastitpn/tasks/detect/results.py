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
from fastitpn.files import replacing
from fastitpn.inference.drawing import Share, frame_px
from fastitpn.inference.results import Result, Results
from fastitpn.tasks.detect.pictures import DrawnInstance, Rectangle, draw_instances

_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class DetectedInstance:
    """An object in an image.

    Attributes:
        name: Name of its class.
        label: Place of the class among the classes.
        score: How sure the network is, in [0, 1].
        box: Left, top, right, bottom in pixels of the image.
        rle: The object's mask, of the size of the image, as run lengths (`size`, `counts`) of COCO's tools; None
            from a network without masks.
        track: Number of the object in its video, from 1 on, which it keeps from frame to frame; None without tracking.
    """

    name: str
    label: int
    score: float
    box: Rectangle
    rle: Mapping[str, Any] | None = field(default=None, repr=False)
    track: int | None = None

    @property
    def title(self) -> str:
        """Class, number and score, to write beside it."""
        return f"{self.name}{'' if self.track is None else f' #{self.track}'} {self.score:.2f}"

    @functools.cached_property
    def mask(self) -> NDArray[np.bool_] | None:
        """Array [H, W] of bool, True where the object is; None from a network without masks."""
        return None if self.rle is None else coco_masks.decode(dict(self.rle)).astype(bool)

    def to_json(self) -> dict[str, Any]:
        """Plain types: class, label, score, box, and the mask in COCO's compressed run lengths."""
        row: dict[str, Any] = {"class": self.name, "label": self.label, "score": self.score, "box": list(self.box)}
        if self.track is not None:
            row["track"] = self.track
        return row if self.rle is None else row | {"mask": self.rle_json()}

    def rle_json(self) -> dict[str, Any]:
        """The mask's run lengths with text instead of bytes."""
        assert self.rle is not None
        return {"size": list(self.rle["size"]), "counts": self.rle["counts"].decode("ascii")}

    def to_coco(self) -> dict[str, Any]:
        """What an annotation of COCO's format says of it, beside its class."""
        left, top, right, bottom = self.box
        row = {"bbox": [left, top, right - left, bottom - top], "score": self.score, "iscrowd": 0}
        if self.rle is None:
            return row | {"area": (right - left) * (bottom - top)}
        return row | {"area": int(coco_masks.area(dict(self.rle))), "segmentation": self.rle_json()}


@dataclass(frozen=True, kw_only=True)
class ImageDetections(Result):
    """The objects in one image.

    Attributes:
        size: Width and height in px.
        instances: The objects, the surest first.
        classes: Names of all classes.
        tracked: Whether the objects have the numbers of their tracks.
    """

    size: tuple[int, int]
    instances: tuple[DetectedInstance, ...]
    classes: tuple[str, ...] = field(repr=False)
    tracked: bool = False

    @property
    def things(self) -> tuple[DetectedInstance, ...]:
        """The instances, by the name that they have in the JSON."""
        return self.instances

    def draw(self, px: int | None = None, *, opacity: float = 0.4, names: bool = True) -> Image.Image:
        """The image with boxes, masks, names and scores, see `draw_instances`.

        Args:
            px: Longest side of the picture; None for that of the image, within 480 to 2048.
            opacity: How much the masks cover the image, 0 to 1.
            names: Write names and scores.

        Raises:
            InputError: The file is gone.
        """
        colors = distinct_colors(self.classes)
        drawn = [
            DrawnInstance(
                instance.box,
                instance.title if names else "",
                colors[instance.label],
                instance.rle,
            )
            for instance in self.instances
        ]
        return draw_instances(self.source.read(), drawn, px=px, opacity=opacity)

    def picture(self, px: int) -> Image.Image:
        """The image with boxes, masks, names and scores."""
        return self.draw(px)

    def tile(self, px: int) -> Image.Image:
        """The image with boxes and masks, for a contact sheet."""
        return self.draw(px, names=False)

    def frame(self) -> Image.Image:
        """The frame of a video with boxes, masks, names and scores."""
        return self.draw(frame_px(self.size))

    def shares(self) -> list[Share]:
        """Each object with its score."""
        colors = distinct_colors(self.classes)
        return [Share(instance.name, instance.score, colors[instance.label]) for instance in self.instances]

    def summary(self, most: int = _NAMED) -> str:
        """How many objects of which class, in words."""
        counts = Counter(instance.name for instance in self.instances).most_common()
        text = ", ".join(f"{count} {name}" for name, count in counts[:most])
        return f"{text}{', ...' * (len(counts) > most)}" or "nothing"

    def csv_rows(self) -> list[dict[str, Any]]:
        """A line for each object; one without a class and a box for an image without objects."""
        size = {"width": self.size[0], "height": self.size[1]}
        sides = ("xmin", "ymin", "xmax", "ymax")
        return [
            {
                **size,
                "class": instance.name,
                "score": round(instance.score, 4),
                **{name: round(side, 2) for name, side in zip(sides, instance.box, strict=True)},
                **({"track": instance.track} if self.tracked else {}),
            }
            for instance in self.instances
        ] or [size | dict.fromkeys(("class", "score", *sides, *(["track"] if self.tracked else [])), "")]

    def to_json(self) -> dict[str, Any]:
        """Plain types: index, path, width, height, and the instances as things."""
        return {
            **super().to_json(),
            "width": self.size[0],
            "height": self.size[1],
            "things": [instance.to_json() for instance in self.instances],
        }


@dataclass(frozen=True, repr=False)
class Detections(Results[ImageDetections]):
    """The objects in all images, in the order in which they were given."""

    sheet_columns = 6
    sheet_px = 240

    def to_coco(
        self, path: str | os.PathLike[str], *, category_ids: Sequence[int] | None = None, root: Path | None = None
    ) -> Path:
        """Writes a file of annotations in COCO's format, which tools to annotate open and `finetune detect` reads.

        Args:
            path: The file; one of that name is replaced when all is written.
            category_ids: Ids of the classes in the file; None for 1, 2, ...
            root: Folder that file names begin at; None writes them as they are.

        Raises:
            InputError: It could not be written.
        """
        names = self.results[0].classes if self.results else ()
        ids = category_ids or range(1, len(names) + 1)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, result in enumerate(self.results, start=1):
            place = result.path if result.path is None or root is None else result.path.relative_to(root)
            file_name = result.source.name if place is None else place.as_posix()
            images.append({"id": number, "file_name": file_name, "width": result.size[0], "height": result.size[1]})
            for instance in result.instances:
                annotation = {"id": len(annotations) + 1, "image_id": number, "category_id": ids[instance.label]}
                annotations.append(annotation | instance.to_coco())
        categories = [{"id": number, "name": name} for number, name in zip(ids, names, strict=True)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        path = Path(path)
        with replacing(path) as file:
            file.write(json.dumps(content).encode("utf-8"))
        return path
