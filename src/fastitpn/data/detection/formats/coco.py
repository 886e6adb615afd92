"""COCO's JSON: finds the files of annotations and their images in the layouts of common tools."""

import json
import mmap
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastitpn.data.detection.formats.base import Content, LabelFormat, Part
from fastitpn.errors import InputError

LAYOUT = (
    "a JSON file in COCO's format, or a folder of one of these: train/, val/, annotations_train.json and "
    "annotations_val.json; train2017/, val2017/ and annotations/instances_train2017.json ...; "
    "train/_annotations.coco.json and valid/_annotations.coco.json; images/ and one JSON file"
)
_EXPECTED = "COCO's format: an object with the lists images, annotations and categories"
_PARTS = {"train": r"train(?:ing)?(?:\d{4})?", "val": r"val(?:id(?:ation)?)?(?:\d{4})?"}
_PREFIX = r"(?:annotations_|instances_)?"
_FOLDERS_OF_JSON = (".", "annotations")

_Files = tuple[Path, Path]
"""A file of annotations, and the folder of its images."""


@dataclass(frozen=True, kw_only=True)
class CocoParts:
    """Files of annotations, looked for when they are asked for; attributes as of `find_coco`."""

    data: Path
    images: Path | None = None

    @property
    def names(self) -> list[str]:
        """Names "train" and "val", as far as there are files of them; else "" if there is a file of no part."""
        return [name for name in _PARTS if self.find(name)] or [""] * bool(self.find(""))

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
        part: "train" or "val"; None takes a file that is of no part, if there is one.
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
        names = ", ".join(str(file.relative_to(data)) for file, _ in files)
        of_part = f" of {part}" if part else ""
        what = f"there are several files of annotations{of_part}: {names}"
        raise InputError(what, where=data, expected="one", fix="data=FILE.json val=FILE.json, or remove the others")
    return (files[0][0], images or files[0][1]) if files else None


def has_coco_annotations(data: Path) -> bool:
    """Whether a file is one of annotations, or a folder has one; other tools leave JSON files too."""
    if not data.exists():
        return False
    try:
        parts = (find_coco(data, name) for name in (*_PARTS, None))
        return any(files is not None and _lists_annotations(files[0]) for files in parts)
    except (InputError, OSError):  # several files, or one that cannot be read: the reader will say so
        return True


def _in_parts(data: Path, part: str) -> list[_Files]:
    files = []
    for file in _json_files(data):
        if re.fullmatch(_PREFIX + _PARTS[part], file.stem):
            files.append((file, _folder_of(file, data)))
    for folder in sorted(path for path in data.iterdir() if path.is_dir() and re.fullmatch(_PARTS[part], path.name)):
        inside = [folder / "_annotations.coco.json"]
        inside = inside if inside[0].is_file() else sorted(folder.glob("*.json"))
        files += [(file, folder) for file in inside]
    return files


def _loose(data: Path) -> list[_Files]:
    """Files of annotations that are of no part; beside one, JSON files of other tools are none."""
    of_parts = _PREFIX + f"(?:{'|'.join(_PARTS.values())})"
    files = [file for file in _json_files(data) if not re.fullmatch(of_parts, file.stem)]
    if len(files) > 1:
        files = [file for file in files if _lists_annotations(file)] or files
    return [(file, _folder_of(file, data)) for file in files]


def _lists_annotations(file: Path) -> bool:
    with file.open("rb") as stream:
        if not file.stat().st_size:
            return False  # which cannot be mapped
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(b'"annotations"') >= 0


def _json_files(data: Path) -> list[Path]:
    return [file for name in _FOLDERS_OF_JSON for file in sorted((data / name).glob("*.json"))]


def _folder_of(file: Path, data: Path) -> Path:
    """The folder of the images of a file of annotations: that of its name, `images`, or all of the data."""
    name = re.sub(f"^{_PREFIX}", "", file.stem)
    candidates = [data / name, data / "images" / name, data / "images"]
    return next((path for path in candidates if path.is_dir()), data)


def _load(file: Path) -> Content:
    fix = "write or copy the file again"
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        if not error.doc.strip():
            raise InputError("this file is empty", where=file, expected=_EXPECTED, fix=fix) from error
        rest = error.doc[error.pos :].strip()
        cut = not rest or (error.msg.startswith("Unterminated") and "\n" not in rest)
        what = "this JSON file ends in the middle: it was cut off" if cut else f"this is not JSON: {error.msg}"
        where = f"{file}, line {error.lineno}, column {error.colno}"
        raise InputError(what, where=where, expected=_EXPECTED, fix=fix) from error
    except (OSError, UnicodeDecodeError, RecursionError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "it is not a text file"
        raise InputError(f"cannot read this file: {reason}", where=file, expected=_EXPECTED, fix="check it") from error
    missing = [
        name
        for name in ("images", "annotations", "categories")
        if not isinstance(content, dict) or not isinstance(content.get(name), list)
    ]
    if missing:
        what = f"this file has no list {', no list '.join(missing)}"
        raise InputError(what, where=file, expected=_EXPECTED, fix="data=FILE.json, or a folder that has one")
    return content


FORMAT = LabelFormat(
    title="COCO annotations",
    layout=LAYOUT,
    recognise=has_coco_annotations,
    open=lambda data, images: CocoParts(data=data, images=images),
)
