"""From Pascal VOC and YOLO to COCO's format."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fastitpn.data.detection.formats import voc, yolo
from fastitpn.data.detection.problems import OnError, stop_or_say
from fastitpn.data.detection.sources import Source, SourceImage, as_coco
from fastitpn.errors import InputError

Form = Literal["voc", "yolo"]

LAYOUT = f"Pascal VOC: {voc.LAYOUT}. YOLO: {yolo.LAYOUT}"


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What was written.

    Attributes:
        files: Of annotations, one for each part.
        classes: Names in the order of their categories, whose ids count from 1.
        num_images: In all files.
        num_annotations: In all files.
        num_masks: Of those that have one.
    """

    files: tuple[Path, ...]
    classes: tuple[str, ...]
    num_images: int
    num_annotations: int
    num_masks: int


def read_source(
    data: Path, *, form: Form | None = None, masks: bool | None = None, on_error: OnError = "stop"
) -> Source:
    """The images, boxes and outlines of a data set.

    Args:
        data: Folder, see `LAYOUT`.
        form: Of the data; None finds it.
        masks: True takes only the images in which every thing has a mask, and prints how many others there are; False
            takes boxes alone, None all there is.
        on_error: Stop with one error that lists what is wrong, or leave it out and print how much and what.

    Raises:
        InputError: The data is of another form, something in it is wrong, or no box or mask is left.
    """
    if not data.is_dir():
        raise InputError("there is no such folder", where=data, expected=LAYOUT, fix="check the path")
    source = scan_source(data, form or _form_of(data))
    stop_or_say(source.problems, on_error)
    if not any(image.things for images in source.parts.values() for image in images):
        what = "no boxes in this folder" if not source.problems else "no boxes are left"
        raise InputError(what, where=data, expected=LAYOUT, fix="check the path, and what is listed above")
    return source if masks is None else _only_with_masks(source, data) if masks else _without_masks(source)


def find_form(data: Path) -> Form | None:
    """The format a folder is in; None if it is neither."""
    if voc.is_voc(data):
        return "voc"
    return "yolo" if yolo.is_yolo(data) else None


def scan_source(data: Path, form: Form) -> Source:
    """As `read_source`, but nothing stops at what is wrong.

    Raises:
        InputError: The data is of another form.
    """
    return {"voc": voc.read_voc, "yolo": yolo.read_yolo}[form](data)


def write_coco(source: Source, data: Path, out: Path, *, copy: bool = False) -> Converted:
    """Writes `annotations_train.json`, `annotations_val.json` and so on, or `annotations.json` if there are no parts.

    Args:
        source: Of `read_source(data)`.
        data: Folder of the data.
        out: Folder to write to.
        copy: Copy the images into `out`; else the files name them where they are, relative to `out`.

    Raises:
        InputError: In `out` are annotations of other parts; nothing is written then.
    """
    parts = {name: images for name, images in source.parts.items() if images}
    files = [out / f"annotations{'_' * bool(name)}{name}.json" for name in parts]
    others = sorted(set(out.glob("annotations*.json")) - set(files))
    if others:
        raise InputError(
            f"there are annotations of another conversion, which would count as parts of this one: {others[0].name}",
            where=out,
            expected="a folder without, or with " + ", ".join(file.name for file in files),
            fix="remove them, or out=FOLDER",
        )
    for file, (name, images) in zip(files, parts.items(), strict=True):
        file_names = _copied(images, data, out / (name or "images")) if copy else _referred(images, out)
        file.write_text(json.dumps(as_coco(images, source.names, file_names)), encoding="utf-8")
    images = [image for part in parts.values() for image in part]
    return Converted(
        files=tuple(files),
        classes=source.names,
        num_images=len(images),
        num_annotations=sum(len(image.things) for image in images),
        num_masks=sum(thing.has_mask for image in images for thing in image.things),
    )


def _only_with_masks(source: Source, data: Path) -> Source:
    parts = {
        part: [image for image in images if all(thing.has_mask for thing in image.things)]
        for part, images in source.parts.items()
    }
    if not any(image.things for images in parts.values() for image in images):
        what = "in no image of this folder every thing has a mask"
        raise InputError(what, where=data, expected=LAYOUT, fix="leave with_masks=true out, for boxes alone")
    left_out = [
        f"{len(images) - len(parts[part])} of {len(images)} images{f' of {part}' * bool(part)}"
        for part, images in source.parts.items()
        if len(parts[part]) < len(images)
    ]
    if left_out:
        print(f"left out, because something in them has no mask: {', '.join(left_out)}", flush=True)
    return replace(source, parts=parts)


def _without_masks(source: Source) -> Source:
    parts = {
        part: [
            replace(image, things=tuple(replace(thing, polygons=(), mask=None) for thing in image.things))
            for image in images
        ]
        for part, images in source.parts.items()
    }
    return replace(source, parts=parts)


def _form_of(data: Path) -> Form:
    if form := find_form(data):
        return form
    raise InputError(
        "neither Pascal VOC nor YOLO is in this folder", where=data, expected=LAYOUT, fix="form=voc or form=yolo"
    )


def _referred(images: Sequence[SourceImage], out: Path) -> list[str]:
    folder = out.resolve()
    return [Path(os.path.relpath(image.path.resolve(), folder)).as_posix() for image in images]


def _copied(images: Sequence[SourceImage], data: Path, folder: Path) -> list[str]:
    """Copies the images, with the folders that they are in below `data`, and names them from `folder` on."""
    names = []
    for number, image in enumerate(images):
        inside = image.path.is_relative_to(data)
        name = image.path.relative_to(data) if inside else Path(f"{number:06}-{image.path.name}")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(image.path, folder / name)
        names.append(name.as_posix())
    return names
