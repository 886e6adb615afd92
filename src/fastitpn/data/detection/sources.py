"""What readers of other formats than COCO's make of a data set, and the way from there to COCO's object."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_mask

from fastitpn.data.detection.formats.base import Content, LabelFormat, Part
from fastitpn.data.detection.masks import Box, BoxError, mask_area, pack_mask, read_box
from fastitpn.data.detection.problems import Problem, stop_or_say
from fastitpn.data.detection.values import whole
from fastitpn.data.images.decode import upright_size
from fastitpn.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SourceObject:
    """One object of an image.

    Attributes:
        name: Name of its class.
        box: Left, top, right, bottom in pixels, within the image.
        polygons: The object's outline, [x0, y0, x1, y1, ...] in pixels each; empty if it is not known.
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
    """An image with its objects.

    Attributes:
        path: File of the image.
        labels: File that its objects are in.
        size: Height and width, upright.
        objects: The objects in it, with boxes and perhaps outlines.
    """

    path: Path
    labels: Path
    size: tuple[int, int]
    objects: tuple[SourceObject, ...]


@dataclass(kw_only=True)
class SourcePart:
    """Images of a part, what is wrong, all left out of them, and lines about what is not wrong."""

    images: list[SourceImage] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, kind: str, what: str, file: Path, *, image: bool = False) -> None:
        """Keeps something that is wrong; `image` if all of the image is left out, else one object of it."""
        self.problems.append(Problem(kind=kind, what=what, file=file, leaves_out="image" if image else "annotation"))

    def take(self, image: SourceImage, since: int) -> None:
        """Keeps an image; one whose objects were all left out is left out too, for it is not empty.

        Args:
            image: With the objects that can be used.
            since: How many problems there were before its objects were read.
        """
        of_image = self.problems[since:]
        if image.objects or not any(problem.leaves_out == "annotation" for problem in of_image):
            self.images.append(image)
        else:
            name = image.path.name  # by which images are counted, also where many share a file of labels
            self.problems[since:] = [replace(problem, leaves_out="image", image_id=name) for problem in of_image]

    def size_of(self, path: Path) -> tuple[int, int] | None:
        """Height and width of an image; None, and noted, if it cannot be read."""
        try:
            width, height = upright_size(path)
        except InputError as error:
            kind = "image that cannot be read" if os.path.exists(path) else "missing image file"
            self.note(kind, error.what, path, image=True)
            return None
        return height, width

    def sized(self, path: Path, declared: tuple[Any, Any], file: Path) -> tuple[int, int] | None:
        """Height and width of an image; None, and noted, if it cannot be read or they are not as declared.

        Args:
            path: File of the image.
            declared: Height and width in the file of labels; what is no number is not compared.
            file: The file of labels.
        """
        size = self.size_of(path)
        written = whole(declared[0]), whole(declared[1])
        if size is None or None in written or 0 in written or written == size:
            return size
        what = f"{path.name} is {size[1]}x{size[0]} px, the labels are for {written[1]}x{written[0]} px"
        problem = Problem(kind="image of another size", what=what, file=file, image_id=path.name, leaves_out="image")
        self.problems.append(problem)
        return None

    def outlined(
        self, name: str, polygons: Sequence[Sequence[float]], size: tuple[int, int], file: Path, where: str
    ) -> SourceObject | None:
        """An object by its outline [x0, y0, ...] in pixels, within the image; None, and noted, if it has none."""
        corners = [np.array(polygon, dtype=np.float64).reshape(-1, 2) for polygon in polygons if len(polygon) >= 6]
        if not corners:
            self.note("outline of fewer than three corners", f"{where} ({name}) has no three corners", file)
            return None
        joined = np.concatenate(corners)
        low, high = joined.min(axis=0), joined.max(axis=0)
        box = self.box([*low.tolist(), *(high - low).tolist()], size, file, f"{where} ({name})")
        if box is None:
            return None
        inside = (np.clip(polygon, 0, size[::-1]).ravel().tolist() for polygon in corners)
        return SourceObject(name=name, box=box, polygons=tuple(map(tuple, inside)))

    def masked(self, name: str, mask: np.ndarray, size: tuple[int, int], file: Path, where: str) -> SourceObject | None:
        """An object by its mask, bool [height, width]; None, and noted, if there is no pixel in it."""
        if not mask.any():
            self.note("mask without a pixel", f"{where} ({name}) has an empty mask", file)
            return None
        packed = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        box = self.box(coco_mask.toBbox(packed).tolist(), size, file, f"{where} ({name})")
        return SourceObject(name=name, box=box, mask=packed["counts"]) if box else None

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


@dataclass(kw_only=True)
class Source:
    """A data set in another format; as `Parts`, what training, evaluation and `doctor` read.

    Attributes:
        path: Folder of the data set.
        classes: Names in their order.
        parts: "train", "val" and so on; "" if there are no parts.
    """

    path: Path
    classes: tuple[str, ...] = ()
    parts: dict[str, SourcePart] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of the parts."""
        return list(self.parts)

    @property
    def problems(self) -> list[Problem]:
        """What is wrong in any part."""
        return [problem for part in self.parts.values() for problem in part.problems]

    def name_classes(self) -> None:
        """Takes the names of all objects for the classes, in alphabetical order."""
        images = (image for part in self.parts.values() for image in part.images)
        self.classes = tuple(sorted({labelled.name for image in images for labelled in image.objects}))

    def part(self, name: str) -> SourcePart:
        """The part of a name, which is new if there is none."""
        return self.parts.setdefault(name, SourcePart())

    def find(self, name: str) -> Part | None:
        """A part to read; of "" what is of no part."""
        part = self.parts.get(name)
        if part is None or not (part.images or part.problems):
            return None
        return Part(
            path=self.path,
            content=partial(self._content, part),
            label_files={number: image.labels for number, image in enumerate(part.images, start=1)},
            problems=part.problems,
            notes=part.notes,
        )

    def _content(self, part: SourcePart) -> Content:
        if not self.classes:  # for which problems are the reason, if there are any
            stop_or_say(part.problems, "stop")
            expected, fix = "images with boxes", "annotate images"
            raise InputError("there is no box in this data", where=self.path, expected=expected, fix=fix)
        return as_coco(part.images, self.classes, [str(image.path) for image in part.images])


def source_format(
    *,
    title: str,
    layout: str,
    recognise: Callable[[Path], bool],
    read: Callable[..., Source],
    resembles: Callable[[Path], bool] | None = None,
    takes_images: bool = False,
) -> LabelFormat:
    """A format that `data convert` reads too, and whose files say where their images are; arguments as its attributes.

    Args:
        title: What people call the format.
        layout: Files and folders, in one sentence.
        recognise: Whether a file or folder is in this format.
        read: Reads all there is in a folder; notes what is wrong, and raises only where nothing can be read.
        resembles: See `LabelFormat`.
        takes_images: Whether names may begin at another folder, which `read` gets after the data.
    """

    def open_source(data: Path, images: Path | None) -> Source:
        if images is not None and takes_images:
            return read(data, images)
        if images is not None:
            raise InputError(
                f"images is {images}, but this data is {title}, which says itself where its images are",
                where=data,
                expected="images=none",
                fix="leave images out",
            )
        return read(data)

    return LabelFormat(title=title, layout=layout, recognise=recognise, open=open_source, resembles=resembles)


def as_coco(images: Sequence[SourceImage], classes: Sequence[str], file_names: Sequence[str]) -> Content:
    """COCO's object: ids count from 1, in the order of the images and classes.

    Args:
        images: Images of one part.
        classes: Names of the classes, in the order of their ids.
        file_names: Name of each image, as the file is to have it.
    """
    category = {name: number for number, name in enumerate(classes, start=1)}
    content: Content = {"images": [], "annotations": []}
    for number, (image, file_name) in enumerate(zip(images, file_names, strict=True), start=1):
        height, width = image.size
        content["images"].append({"id": number, "file_name": file_name, "width": width, "height": height})
        for labelled in image.objects:
            annotation: dict[str, Any] = {"id": len(content["annotations"]) + 1, "image_id": number}
            annotation |= {"category_id": category[labelled.name], "iscrowd": int(labelled.crowd)}
            left, top, right, bottom = labelled.box
            annotation |= {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
            if labelled.mask is not None:
                annotation["segmentation"] = {"size": [height, width], "counts": labelled.mask.decode("ascii")}
            elif labelled.polygons:
                annotation["segmentation"] = [list(polygon) for polygon in labelled.polygons]
            if labelled.has_mask:
                annotation["area"] = mask_area(pack_mask(annotation["segmentation"], height, width), height, width)
            content["annotations"].append(annotation)
    return content | {"categories": [{"id": number, "name": name} for name, number in category.items()]}
