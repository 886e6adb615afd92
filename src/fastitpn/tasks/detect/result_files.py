"""Detections as YOLO's text files, and each object as a picture by itself."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

from fastitpn.files import copy_file, write_text
from fastitpn.inference.results import Results
from fastitpn.inference.written_pictures import output_names, save_picture
from fastitpn.runs.output import make_folder
from fastitpn.tasks.detect.results import ImageDetections

YOLO, CROPS = "yolo", "crops"


def write_yolo(results: Results[ImageDetections], source: Path, out: Path) -> Path:
    """Write `yolo/`: a text file of boxes for each image, links to the images and data.yaml, ready to train on.

    Raises:
        InputError: It could not be written.
    """
    folder = out / YOLO
    for result, name in _named(results, source):
        width, height = result.size
        lines = []
        for instance in result.instances:
            left, top, right, bottom = instance.box
            middle = ((left + right) / 2 / width, (top + bottom) / 2 / height)
            sides = (*middle, (right - left) / width, (bottom - top) / height)
            lines.append(" ".join([str(instance.label), *(f"{side:.6f}" for side in sides)]) + "\n")
        assert result.path is not None
        image = folder / "images" / name.with_name(name.name + result.path.suffix)
        text = folder / "labels" / name.with_name(name.name + ".txt")
        make_folder(image.parent)
        make_folder(text.parent)
        write_text(text, "".join(lines))
        _link(result.path, image)
    names = "".join(f"  {label}: {json.dumps(name)}\n" for label, name in enumerate(results[0].classes))
    write_text(folder / "data.yaml", f"path: .\ntrain: images\nnames:\n{names}")
    return folder


def write_crops(results: Results[ImageDetections], source: Path, out: Path) -> Path:
    """Write `crops/CLASS/NAME_1.png`, ...: what is inside of the box of each object, at the size of the image.

    Raises:
        InputError: A picture could not be written, or an image is gone.
    """
    folder = out / CROPS
    make_folder(folder)
    for result, name in _named(results, source):
        if not result.instances:
            continue
        image = result.source.read()
        for number, instance in enumerate(result.instances, start=1):
            place = folder / _one_part(instance.name) / f"{'_'.join(name.parts)}_{number}.png"
            save_picture(image.crop(_whole(instance.box, image)), place)
    return folder


def _named(results: Results[ImageDetections], source: Path) -> Iterator[tuple[ImageDetections, Path]]:
    """Each result with its place in the source, without an ending; no two have the same."""
    paths = [result.path for result in results if result.path is not None]
    names = output_names(paths, source)
    return zip(results, (name.with_suffix("") for name in names), strict=True)


def _whole(box: Sequence[float], image: Image.Image) -> tuple[int, int, int, int]:
    """The pixels that a box touches, at least one."""
    left, top = (min(max(0, int(box[axis])), image.size[axis] - 1) for axis in (0, 1))
    right, bottom = max(left + 1, math.ceil(box[2])), max(top + 1, math.ceil(box[3]))
    return left, top, min(image.width, right), min(image.height, bottom)


def _one_part(name: str) -> str:
    """A class as the name of one folder."""
    text = "".join("_" if sign in '/\\:*?"<>|' or ord(sign) < 32 else sign for sign in name).strip(" .")
    return text or "_"


def _link(image: Path, link: Path) -> None:
    """A link to an image, or a copy where the system has no links."""
    link.unlink(missing_ok=True)
    try:
        os.symlink(image.resolve(), link)
    except OSError:
        copy_file(image, link)
