"""COCO's panoptic annotations as labels of pixels: PNGs whose colours are the ids of segments, and what these are."""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fastitpn.data.detection.categories import read_categories, whole
from fastitpn.data.detection.files import locate
from fastitpn.data.detection.problems import OnError, Problem, stop_or_say
from fastitpn.data.images.decode import upright_size
from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.masks import Labels
from fastitpn.data.segmentation.panoptic_codes import LABEL_BITS, Codes, crowd_code, ids_of_colors, thing_code
from fastitpn.errors import InputError

_EXPECTED = "COCO's panoptic format: annotations with file_name and segments_info, and a PNG for each image"


@dataclass(frozen=True, kw_only=True)
class PanopticImage:
    """An image and its segments.

    Attributes:
        path: Of the image.
        png: Of its segments: their ids are red + 256 green + 65536 blue; 0 is none.
        names: Class of each segment by its id.
        crowds: Ids of those that are crowds.
    """

    path: Path
    png: Path
    names: dict[int, str]
    crowds: frozenset[int] = frozenset()


@dataclass(frozen=True, kw_only=True)
class PanopticScan:
    """What a file of panoptic annotations has.

    Attributes:
        images: Those with which nothing is wrong.
        names: Of all categories.
        things: Those of which each is counted, and not only their pixels.
        problems: What is wrong.
        left_out: Images for which something is wrong, as far as they are there.
        without_segments: Images that have none.
    """

    images: list[PanopticImage]
    names: tuple[str, ...]
    things: tuple[str, ...]
    problems: list[Problem]
    left_out: list[Path]
    without_segments: int


class PanopticLabels:
    """Labels or codes of the pixels of images with segments; pixels of none, of a crowd or of no class are left out.

    Args:
        images: With their segments.
        names: Of the classes.
        things: Those that are counted, for the codes.
    """

    def __init__(self, images: Sequence[PanopticImage], names: Sequence[str], things: Collection[str] = ()) -> None:
        label_of = {name: label for label, name in enumerate(names)}
        codes = [code for image in images for code in _codes(image, label_of, things)]
        # In blocks of memory, which workers share, and not in objects, which each of them would copy.
        self._pngs = np.array([os.fsencode(image.png) for image in images], dtype=np.bytes_)
        self._first = np.cumsum([0, *(len(image.names) for image in images)])
        self._ids = np.array([number for image in images for number in image.names], dtype=np.int64)
        self._of_ids = np.array(codes, dtype=np.int32)

    def __len__(self) -> int:
        return len(self._pngs)

    def __call__(self, index: int) -> Labels:
        """Labels uint8 [H, W] of an image."""
        return (self.codes(index) & LABEL_BITS).astype(np.uint8)

    def codes(self, index: int) -> Codes:
        """Codes int32 [H, W] of an image, see `panoptic_codes`."""
        own = slice(self._first[index], self._first[index + 1])
        code_of = dict(zip(self._ids[own].tolist(), self._of_ids[own].tolist(), strict=True))
        numbers, places = np.unique(read_segments(Path(os.fsdecode(self._pngs[index]))), return_inverse=True)
        return np.array([code_of.get(number, IGNORE) for number in numbers.tolist()], dtype=np.int32)[places]


def _codes(image: PanopticImage, label_of: dict[str, int], things: Collection[str]) -> Iterator[int]:
    """Of each segment of an image."""
    for place, (number, name) in enumerate(image.names.items(), start=1):
        label = label_of.get(name, IGNORE)
        if number in image.crowds or label == IGNORE:
            yield crowd_code(label) if label != IGNORE else IGNORE
        else:
            yield thing_code(label, place) if name in things else label


def read_segments(png: Path) -> NDArray[np.int32]:
    """The id of the segment of each pixel, [H, W].

    Raises:
        InputError: The file is missing, damaged, or no picture in RGB.
    """
    try:
        with Image.open(png) as image:
            mode, pixels = image.mode, np.asarray(image)
    except Exception as error:  # on a damaged file, Pillow's readers raise whatever their parser happens to hit
        what = (
            "there is no such file" if isinstance(error, FileNotFoundError) else f"cannot read these segments: {error}"
        )
        raise InputError(what, where=png, expected=_EXPECTED) from error
    if mode not in ("RGB", "RGBA"):
        raise InputError(f"these segments are of mode {mode}, not RGB", where=png, expected=_EXPECTED)
    return ids_of_colors(pixels[..., :3])


def find_panoptic(data: Path, part: str | None, images: Path | None = None) -> tuple[Path, Path] | None:
    """The file of a part, and the folder of its images.

    Args:
        data: A file, which has no parts; or a folder with `panoptic_train2017.json` and `panoptic_val2017.json`, or
            these in `annotations`, and the images in `train2017` and `val2017`, here or in `images`.
        part: "train" or "val"; None for a file given as such.
        images: Folder of the images; None finds it.

    Returns:
        None if the data has no such part.
    """
    if data.is_file():
        if part is not None or not _is_panoptic(data):
            return None
        file, root = data, data.parent.parent if data.parent.name == "annotations" else data.parent
    else:
        inside = (*sorted(data.glob("panoptic_*.json")), *sorted(data.glob("annotations/panoptic_*.json")))
        found = [path for path in inside if part is not None and path.stem.startswith(f"panoptic_{part}")]
        if not found:
            return None
        file, root = found[0], data
    name = file.stem.removeprefix("panoptic_")
    folders = (root / name, root / "images" / name, root / "images")
    return file, images or next((folder for folder in folders if folder.is_dir()), root)


def _is_panoptic(file: Path) -> bool:
    try:
        return file.name.startswith("panoptic") or '"segments_info"' in file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False


def scan_panoptic(file: Path, images: Path) -> PanopticScan:
    """Reads a file, its PNGs and its images, and checks every segment.

    Args:
        file: In COCO's panoptic format; the PNGs lie beside it, or in the folder of its name without `.json`.
        images: Folder of the images.

    Raises:
        InputError: The file cannot be read, or its categories are wrong.
    """
    content = _load(file)
    listed = [one for one in content["annotations"] if isinstance(one, dict)]
    used = {whole(segment.get("category_id")) for one in listed for segment in _segments(one)}
    classes, label_of = read_categories(content["categories"], file, used)
    name_of = {number: classes.names[label] for number, label in label_of.items()}
    counted = {whole(one["id"]) for one in content["categories"] if one.get("isthing")}
    file_names = {whole(one.get("id")): one.get("file_name") for one in content["images"] if isinstance(one, dict)}
    folder = file.with_suffix("") if file.with_suffix("").is_dir() else file.parent

    def check(one: dict[str, Any]) -> PanopticImage | list[Problem]:
        number = whole(one.get("image_id"))
        name, png = file_names.get(number), one.get("file_name")
        about: dict[str, Any] = {"file": file, "image_id": number, "leaves_out": "image"}
        if not isinstance(name, str) or not isinstance(png, str):
            return [Problem(kind="segments of a missing image", what="no image of this id, or no file_name", **about)]
        found = PanopticImage(path=locate(name, images), png=folder / png, **_named(one, name_of))
        try:
            size, segments = upright_size(found.path), read_segments(found.png)
        except InputError as error:
            return [Problem(kind="file that cannot be read", what=f"{error.where}: {error.what}", **about)]
        about["file"] = found.png
        if segments.shape != size[::-1]:
            what = f"{png} is {segments.shape[1]}x{segments.shape[0]} px, {name} {size[0]}x{size[1]} px"
            return [Problem(kind="segments of another size", what=what, **about)]
        listed_ids = {whole(segment.get("id")): segment for segment in _segments(one)}
        problems = []
        for unknown in sorted(set(np.unique(segments).tolist()) - {0, *found.names}):
            about["segment_id"] = unknown
            if unknown in listed_ids:
                what = f"its category {listed_ids[unknown].get('category_id')} is none of the categories"
                problems.append(Problem(kind="unknown category", what=what, **about))
            else:
                what = f"{int((segments == unknown).sum())} pixels of it, and segments_info has no such id"
                problems.append(Problem(kind="unknown segment", what=what, **about))
        return problems or found

    with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
        results = list(pool.map(check, listed))
    named = (
        file_names.get(whole(one.get("image_id")))
        for one, result in zip(listed, results, strict=True)
        if isinstance(result, list)
    )
    left_out = {locate(name, images) for name in named if isinstance(name, str)}
    return PanopticScan(
        images=[result for result in results if isinstance(result, PanopticImage)],
        names=classes.names,
        things=tuple(name for number, name in sorted(name_of.items()) if number in counted),
        problems=[problem for result in results if isinstance(result, list) for problem in result],
        left_out=sorted(filter(Path.is_file, left_out)),
        without_segments=len(set(file_names) - {whole(one.get("image_id")) for one in listed}),
    )


def read_panoptic(file: Path, images: Path, *, on_error: OnError) -> PanopticScan:
    """What `scan_panoptic` finds, if nothing is wrong.

    Args:
        file: See there.
        images: See there.
        on_error: Stop with one error that lists what is wrong, or leave such images out and print how many.

    Raises:
        InputError: The file cannot be read, or things in it are wrong.
    """
    found = scan_panoptic(file, images)
    stop_or_say(found.problems, on_error, _EXPECTED)
    return found


def check_names(images: Sequence[PanopticImage], names: Sequence[str]) -> None:
    """Make sure that all segments are of these classes.

    Raises:
        InputError: Some are of others.
    """
    used = {name for image in images for number, name in image.names.items() if number not in image.crowds}
    if unknown := sorted(used - set(names)):
        raise InputError(
            f"categories that are none of the classes: {', '.join(unknown[:10])}",
            where=images[0].png.parent,
            expected=f"some of {', '.join(names[:20])}",
            fix="rename the categories, or classes=FILE with all names",
        )


def _segments(one: dict[str, Any]) -> list[dict[str, Any]]:
    segments = one.get("segments_info")
    return [segment for segment in segments if isinstance(segment, dict)] if isinstance(segments, list) else []


def _named(one: dict[str, Any], name_of: dict[int, str]) -> dict[str, Any]:
    """`names` and `crowds` of an image, without segments of no known category."""
    segments = [(whole(segment.get("id")), segment) for segment in _segments(one)]
    known = [(number, segment, whole(segment.get("category_id"))) for number, segment in segments if number is not None]
    names = {number: name_of[category] for number, _, category in known if category in name_of}
    return {"names": names, "crowds": frozenset(number for number, segment, _ in known if segment.get("iscrowd"))}


def _load(file: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"cannot read this file: {error}", where=file, expected=_EXPECTED, fix="check it") from error
    lists = ("images", "annotations", "categories")
    if not isinstance(content, dict) or not all(isinstance(content.get(name), list) for name in lists):
        raise InputError("this file lacks images, annotations or categories", where=file, expected=_EXPECTED)
    return content
