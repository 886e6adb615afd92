"""COCO's JSON: finds the files of annotations and their images in the layouts of common tools."""

import mmap
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastitpn.data.detection.formats.base import Content, LabelFormat, Part
from fastitpn.data.detection.formats.json_kinds import kind_of_json
from fastitpn.data.json_files import JsonList, read_json
from fastitpn.data.parts import PARTS, part_folders, part_of
from fastitpn.errors import InputError
from fastitpn.listing import matching

LAYOUT = (
    "a JSON file in COCO's format, or a folder of one of these: train/, val/, annotations_train.json and "
    "annotations_val.json; train2017/, val2017/ and annotations/instances_train2017.json ...; "
    "train/_annotations.coco.json and valid/_annotations.coco.json; images/ and one JSON file"
)
_EXPECTED = "COCO's format: an object with the lists images, annotations and categories"
_WORDS = re.compile(r"(?:^|[ _.-])(?:annotations?|instances|coco|labels?|bbox(?:es)?)(?=[ _.-]|$)", re.IGNORECASE)
"""What file names say beside the part that they are of."""
_OTHERS = re.compile(r"(?:captions|person_keypoints|panoptic|stuff|image_info)_")
"""Files of other kinds of annotations, which are written beside those of objects."""
_FOLDERS_OF_JSON = (".", "annotations")
_MOST_LISTED = 20

_Files = tuple[Path, Path]
"""A file of annotations, and the folder of its images."""


@dataclass(frozen=True, kw_only=True)
class CocoParts:
    """Files of annotations, looked for when they are asked for; attributes as of `find_coco`."""

    data: Path
    images: Path | None = None

    @property
    def names(self) -> list[str]:
        """Names of the parts that there are files of; else "" if there is a file of no part."""
        return [name for name in PARTS if self.find(name)] or [""] * bool(self.find(""))

    def find(self, name: str) -> Part | None:
        """A part, see `find_coco`."""
        files = find_coco(self.data, name or None, self.images)
        return None if files is None else coco_part(*files)


def coco_part(file: Path, images: Path) -> Part:
    """One file of annotations, with the folder of its images."""
    return Part(path=file, content=partial(_load, file), images=images)


def find_coco(data: Path, part: str | None, images: Path | None = None) -> tuple[Path, Path] | None:
    """The file of annotations of a part, and the folder of its images.

    Args:
        data: A file of annotations, which has no parts, or a folder.
        part: One of `PARTS`; None takes a file that is of no part, if there is one.
        images: Folder of the images; None finds it.

    Returns:
        None if the data has no such part.

    Raises:
        InputError: The data is missing, or has several files for the part.
    """
    if images is not None and not images.is_dir():
        raise InputError(
            "there is no such folder", where=images, expected="the folder of the images", fix="check images="
        )
    if not data.exists():
        raise InputError("there is no such file or folder", where=data, expected=LAYOUT, fix="check the path")
    if data.is_file():
        folder = data.parent.parent if data.parent.name in _FOLDERS_OF_JSON else data.parent
        return None if part else (data, images or _folder_of(data, folder))
    files = _in_parts(data, part) if part else _loose(data)
    if len(files) > 1:
        names = [str(file.relative_to(data)) for file, _ in files]
        more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
        of_part = f" of {part}" if part else ""
        what = f"there are several files of annotations{of_part}: {', '.join(names[:_MOST_LISTED])}{more}"
        raise InputError(what, where=data, expected="one", fix="data=FILE.json val=FILE.json, or remove the others")
    return (files[0][0], images or files[0][1]) if files else None


def has_coco_annotations(data: Path) -> bool:
    """Whether a file is one of annotations, or a folder has one; other tools leave JSON files too."""
    if not data.exists():
        return False
    try:
        parts = (find_coco(data, name) for name in (*PARTS, None))
        return any(files is not None and _lists_annotations(files[0]) for files in parts)
    except (InputError, OSError):  # several files, or one that cannot be read: the reader will say so
        return any(_lists_annotations(file) for file in _json_files(data)[:_MOST_LISTED]) if data.is_dir() else True


def _part_of(file: Path) -> str | None:
    return part_of(_WORDS.sub("", file.stem).strip(" _.-"))


def _in_parts(data: Path, part: str) -> list[_Files]:
    files = [(file, _folder_of(file, data)) for file in _json_files(data) if _part_of(file) == part]
    if folder := part_folders(data).get(part):
        inside = [folder / "_annotations.coco.json"]
        inside = inside if inside[0].is_file() else _of_objects(matching(folder, "*.json"))
        files += [(file, _folder_of(file, folder)) for file in inside]
    return files


def _loose(data: Path) -> list[_Files]:
    """Files of annotations that are of no part; beside one, JSON files of other tools are none."""
    files = _of_objects(file for file in _json_files(data) if _part_of(file) is None)
    if len(files) > 1:  # of panoptic data there are several, of parts of its own
        files = [file for file in files if not file.name.startswith("panoptic_")]
    return [(file, _folder_of(file, data)) for file in files]


def _of_objects(files: Iterable[Path]) -> list[Path]:
    """Of several files those with annotations of objects, as far as that can be told."""
    kept = sorted(files)
    if len(kept) > 1:
        kept = [file for file in kept if _lists_annotations(file)] or kept
    if len(kept) > 1:
        kept = [file for file in kept if not _OTHERS.match(file.name)] or kept
    return kept


def _lists_annotations(file: Path) -> bool:
    """Whether a file has what only COCO's has: both lists, in any encoding."""
    with file.open("rb") as stream:
        if not file.stat().st_size:
            return False  # which cannot be mapped
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return any(
                all(content.find(f'"{name}"'.encode(encoding)) >= 0 for name in ("annotations", "images"))
                for encoding in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
            )


def _json_files(data: Path) -> list[Path]:
    return [file for name in _FOLDERS_OF_JSON for file in matching(data / name, "*.json")]


def _folder_of(file: Path, data: Path) -> Path:
    """The folder of the images of a file of annotations: that of its name, `images`, or all of the data."""
    name = _WORDS.sub("", file.stem).strip(" _.-") or file.stem
    candidates = [data / name, data / "images" / name, data / "images", data / "data"]
    return next((path for path in candidates if path.is_dir()), data)


def _load(file: Path) -> Content:
    content = read_json(file, expected=_EXPECTED, lazy=("annotations",))
    names = ("images", "annotations", "categories")
    missing = [
        name for name in names if not isinstance(content, dict) or not isinstance(content.get(name), list | JsonList)
    ]
    if missing:
        kind = kind_of_json(content)
        what = f"this is {kind}" if kind else f"this file has no list {', no list '.join(missing)}"
        raise InputError(what, where=file, expected=_EXPECTED, fix="data=FILE.json, or a folder that has one")
    first = next(iter(content["annotations"]), None)
    if isinstance(first, dict) and "segments_info" in first:
        what = (
            "this is COCO's panoptic format, of segments in PNGs: it has no boxes or outlines of single objects to read"
        )
        fix = "finetune segment panoptic=true head=maskdino; or data=FILE.json of instances"
        raise InputError(what, where=file, expected=_EXPECTED, fix=fix)
    return content


FORMAT = LabelFormat(
    title="COCO annotations",
    layout=LAYOUT,
    recognise=has_coco_annotations,
    open=lambda data, images: CocoParts(data=data, images=images),
)
