"""What converters read from other formats, before it is written as COCO's."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastitpn.data.detection.masks import Box, BoxError, mask_area, pack_mask, read_box
from fastitpn.data.detection.problems import Problem
from fastitpn.data.images.decode import upright_size
from fastitpn.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One thing of an image.

    Attributes:
        name: Of its class.
        box: Left, top, right, bottom in pixels, within the image.
        polygons: Its outline, [x0, y0, x1, y1, ...] in pixels each; empty if it is not known.
        mask: Or its mask, packed as by `pack_mask`; None if it is not known.
        crowd: It is no target, and no detection of it is wrong.
    """

    name: str
    box: Box
    polygons: tuple[tuple[float, ...], ...] = ()
    mask: bytes | None = None
    crowd: bool = False

    @property
    def has_mask(self) -> bool:
        """More than its box is known."""
        return self.mask is not None or bool(self.polygons)


@dataclass(frozen=True, kw_only=True)
class SourceImage:
    """An image with its things; `size` is its height and width, upright."""

    path: Path
    size: tuple[int, int]
    things: tuple[Thing, ...]


@dataclass(kw_only=True)
class Source:
    """A data set in another format.

    Attributes:
        names: Of the classes, in their order.
        parts: Images of "train", "val" and so on; "" if there are no parts.
        problems: What is wrong, all left out of the parts.
    """

    names: tuple[str, ...] = ()
    parts: dict[str, list[SourceImage]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def note(self, kind: str, what: str, file: Path, *, image: bool = False) -> None:
        """Keeps something that is wrong; `image` if all of the image is left out, else one thing of it."""
        self.problems.append(Problem(kind=kind, what=what, file=file, leaves_out="image" if image else "annotation"))

    def size_of(self, path: Path) -> tuple[int, int] | None:
        """Height and width of an image; None, and noted, if it cannot be read."""
        try:
            width, height = upright_size(path)
        except InputError as error:
            kind = "image that cannot be read" if path.exists() else "missing image file"
            self.note(kind, error.what, path, image=True)
            return None
        return height, width

    def box(self, box: Sequence[float], size: tuple[int, int], file: Path, where: str) -> Box | None:
        """The sides of a box of left, top, width and height, within the image; None, and noted, if it is no box."""
        try:
            inside, cut = read_box(list(box), *size)
        except BoxError as error:
            self.note(error.kind, f"{where}: {error}", file)
            return None
        if cut:
            self.problems.append(
                Problem(kind="box partly outside of its image", what=f"{where}: {cut}", file=file, leaves_out="nothing")
            )
        return inside


def as_coco(
    images: Sequence[SourceImage], names: Sequence[str], file_names: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """COCO's object: ids count from 1, in the order of the images and names.

    Args:
        images: Of one part.
        names: Of the classes.
        file_names: One for each image.
    """
    category = {name: number for number, name in enumerate(names, start=1)}
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (image, file_name) in enumerate(zip(images, file_names, strict=True), start=1):
        height, width = image.size
        listed.append({"id": number, "file_name": file_name, "width": width, "height": height})
        for thing in image.things:
            annotation: dict[str, Any] = {"id": len(annotations) + 1, "image_id": number}
            annotation |= {"category_id": category[thing.name], "iscrowd": int(thing.crowd)}
            left, top, right, bottom = thing.box
            annotation |= {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
            if thing.mask is not None:
                annotation["segmentation"] = {"size": [height, width], "counts": thing.mask.decode("ascii")}
            elif thing.polygons:
                annotation["segmentation"] = [list(polygon) for polygon in thing.polygons]
            if thing.has_mask:
                annotation["area"] = mask_area(pack_mask(annotation["segmentation"], height, width), height, width)
            annotations.append(annotation)
    categories = [{"id": number, "name": name} for name, number in category.items()]
    return {"images": listed, "annotations": annotations, "categories": categories}
