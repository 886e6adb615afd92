"""From the other formats to COCO's."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fastitpn.console import say
from fastitpn.data.detection.formats.registry import FORMATS, layouts
from fastitpn.data.detection.problems import OnError, stop_or_say
from fastitpn.data.detection.sources import Source, SourceImage, as_coco
from fastitpn.errors import InputError
from fastitpn.files import copy_file, write_text
from fastitpn.listing import matching


@dataclass(frozen=True, kw_only=True)
class Converted:
    """What was written.

    Attributes:
        files: The files of annotations, one for each part.
        classes: Names in the order of their categories, whose ids count from 1.
        num_images: Number of images in all files.
        num_annotations: Number of annotations in all files.
        num_masks: How many of the annotations have a mask.
    """

    files: tuple[Path, ...]
    classes: tuple[str, ...]
    num_images: int
    num_annotations: int
    num_masks: int


def formats_to_convert() -> list[str]:
    """Names of the formats that can be read here: all but COCO's own."""
    return [name for name in FORMATS if name != "coco"]


def read_source(
    data: Path, *, form: str | None = None, masks: bool | None = None, on_error: OnError = "stop"
) -> Source:
    """The images, boxes and outlines of a data set.

    Args:
        data: File or folder, in one of the `formats_to_convert`.
        form: Name of the format; None finds it.
        masks: True takes only the images in which every object has a mask, and prints how many others there are; False
            takes boxes alone, None all there is.
        on_error: Stop with one error that lists what is wrong, or leave it out and print how much and what.

    Raises:
        InputError: The data is of another form, something in it is wrong, or no box or mask is left.
    """
    expected = layouts(formats_to_convert())
    if not data.exists():
        raise InputError("there is no such file or folder", where=data, expected=expected, fix="check the path")
    source = FORMATS[form or _form_of(data)].open(data, None)
    assert isinstance(source, Source), f"{form} is no `source_format`"
    stop_or_say(source.problems, on_error)
    if not any(image.objects for part in source.parts.values() for image in part.images):
        what = "no boxes in this folder" if not source.problems else "no boxes are left"
        raise InputError(what, where=data, expected=expected, fix="check the path, and what is listed above")
    if masks is None:
        return source
    return _only_with_masks(source) if masks else _without_masks(source)


def write_coco(source: Source, out: Path, *, copy: bool = False) -> Converted:
    """Writes `annotations_train.json`, `annotations_val.json` and so on, or `annotations.json` if there are no parts.

    Args:
        source: What `read_source` gave.
        out: Folder to write to.
        copy: Copy the images into `out`; else the files name them where they are, relative to `out`.

    Raises:
        InputError: In `out` are annotations of other parts; nothing is written then.
    """
    parts = {name: part.images for name, part in source.parts.items() if part.images}
    files = [out / f"annotations{'_' * bool(name)}{name}.json" for name in parts]
    others = sorted(set(matching(out, "annotations*.json")) - set(files))
    if others:
        raise InputError(
            f"there are annotations of another conversion, which would count as parts of this one: {others[0].name}",
            where=out,
            expected="a folder without, or with " + ", ".join(file.name for file in files),
            fix="remove them, or out=FOLDER",
        )
    for file, (name, images) in zip(files, parts.items(), strict=True):
        file_names = _copied(images, source.path, out / (name or "images")) if copy else _referred(images, out)
        write_text(file, json.dumps(as_coco(images, source.classes, file_names)))
    images = [image for part in parts.values() for image in part]
    return Converted(
        files=tuple(files),
        classes=source.classes,
        num_images=len(images),
        num_annotations=sum(len(image.objects) for image in images),
        num_masks=sum(labelled.has_mask for image in images for labelled in image.objects),
    )


def _only_with_masks(source: Source) -> Source:
    parts, left_out = {}, []
    for name, part in source.parts.items():
        kept = [image for image in part.images if all(labelled.has_mask for labelled in image.objects)]
        parts[name] = replace(part, images=kept)
        if len(kept) < len(part.images):
            of_part = f" of {name}" if name else ""
            left_out.append(f"{len(part.images) - len(kept)} of {len(part.images)} images{of_part}")
    if not any(image.objects for part in parts.values() for image in part.images):
        raise InputError(
            "no image of this folder has a mask for every object",
            where=source.path,
            expected=layouts(formats_to_convert()),
            fix="leave with_masks=true out, to use only boxes",
        )
    if left_out:
        say(f"left out, because something in them has no mask: {', '.join(left_out)}")
    return replace(source, parts=parts)


def _without_masks(source: Source) -> Source:
    def boxes_of(image: SourceImage) -> SourceImage:
        return replace(image, objects=tuple(replace(labelled, polygons=(), mask=None) for labelled in image.objects))

    parts = {
        name: replace(part, images=[boxes_of(image) for image in part.images]) for name, part in source.parts.items()
    }
    return replace(source, parts=parts)


def _form_of(data: Path) -> str:
    names = formats_to_convert()
    recognised = [name for name in names if FORMATS[name].recognise(data)]
    resembling = [name for name in names if (test := FORMATS[name].resembles) and test(data)]
    if recognised or resembling:
        return (recognised or resembling)[0]
    raise InputError(
        f"neither {' nor '.join(FORMATS[name].title for name in names)} is in this folder",
        where=data,
        expected=layouts(names),
        fix=" or ".join(f"form={name}" for name in names),
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
        copy_file(image.path, folder / name)
        names.append(name.as_posix())
    return names
