"""Reads Label Studio's export as JSON: tasks with regions in percent of the image."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastitpn.data.detection.formats.label_studio_brush import decode_brush
from fastitpn.data.detection.sources import Source, SourceImage, SourceObject, SourcePart, source_format
from fastitpn.data.detection.values import flag, number, numbers
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.named_files import NamedFiles, nfc
from fastitpn.data.json_files import read_json
from fastitpn.data.parts import part_of
from fastitpn.errors import InputError
from fastitpn.listing import matching

LAYOUT = (
    "a JSON file as Label Studio exports it (JSON or JSON-MIN), or a folder with one; images in its folder or images/"
)
_EXPECTED = "Label Studio's export as JSON: a list of tasks with data and annotations"
_LABELS = ("rectanglelabels", "polygonlabels", "brushlabels", "ellipselabels", "labels")
_WITHOUT_AREA = ("keypointlabels", "keypoint")
_ELLIPSE_CORNERS = 64


def is_label_studio(data: Path) -> bool:
    """Whether a file is such an export, or a folder has one."""
    return bool(_files(data))


def read_label_studio(data: Path, images: Path | None = None) -> Source:
    """The images of each part; classes are in alphabetical order. Of several annotations of a task the first counts.

    Of tasks to import, which have predictions and no annotations, the first prediction is taken.

    Raises:
        InputError: A file cannot be read.
    """
    source = Source(path=data)
    for file in _files(data):
        tasks = read_json(file, expected=_EXPECTED)
        if not isinstance(tasks, list):
            raise InputError("this is no list of tasks", where=file, expected=_EXPECTED, fix="export it again as JSON")
        root = file.parent
        names = [name for task in tasks if (name := _image_name(task))]
        given = [images] if images else []
        files = NamedFiles([*given, root, root / "images", root / file.stem, root.parent / "images"], names)
        part = source.part((part_of(file.stem) or "") if data.is_dir() else "")
        for place, task in enumerate(tasks):
            _read(task, f"task {place}", file, files, part)
        part.notes.extend([line] if (line := files.line()) else [])
    source.name_classes()
    return source


def _files(data: Path) -> list[Path]:
    candidates = [data] if data.is_file() and data.suffix.lower() == ".json" else matching(data, "*.json")
    return [file for file in candidates if file.is_file() and _has_regions(file.read_bytes())]


def _has_regions(content: bytes) -> bool:
    start = content[:100].lstrip(b"\xef\xbb\xbf \r\n\t")
    return start.startswith(b"[") and any(f'"{name}"'.encode() in content for name in (*_LABELS[:4], "completed_by"))


def _image_name(task: Any) -> str | None:
    """The name of the image among the data of a task: under "image", or the only one that looks like one."""
    if not isinstance(task, dict):
        return None
    data = task.get("data", task)
    texts = {key: text for key, text in data.items() if isinstance(text, str)} if isinstance(data, dict) else {}
    likely = (text for text in texts.values() if Path(text.split("?")[0]).suffix.lower() in EXTENSIONS)
    return texts.get("image") or texts.get("img") or next(likely, None)


def _results(task: Mapping[str, Any], part: SourcePart) -> list[Any]:
    """The regions of a task, of the first annotation that was not cancelled; or those of JSON-MIN."""
    annotations = task.get("annotations", task.get("completions", task.get("predictions")))
    if not isinstance(annotations, list):
        lists = (value for value in task.values() if isinstance(value, list))
        return [region for regions in lists for region in regions if isinstance(region, dict)]
    kept = [by for by in annotations if isinstance(by, dict) and not flag(by.get("was_cancelled"))]
    if len(kept) > 1:
        part.notes.append(f"task {task.get('id')!r:.40} has {len(kept)} annotations: the first is used")
    results = kept[0].get("result") if kept else None
    return results if isinstance(results, list) else []


def _read(task: Any, where: str, file: Path, files: NamedFiles, part: SourcePart) -> None:
    name = _image_name(task)
    if name is None:
        part.note("task without an image", f"{where} names no image", file, image=True)
        return
    path = files.find(name) or file.parent / name.replace("\\", "/").lstrip("/")
    results = [result for result in _results(task, part) if isinstance(result, dict)]
    declared = next((result for result in results if result.get("original_width")), {})
    size = part.sized(path, (declared.get("original_height"), declared.get("original_width")), file)
    if size is None:
        return
    since = len(part.problems)
    read = (_object(result, size, file, f"{where}, region {place}", part) for place, result in enumerate(results))
    objects = tuple(labelled for labelled in read if labelled is not None)
    part.take(SourceImage(path=path, labels=file, size=size, objects=objects), since)


def _object(
    result: Mapping[str, Any], size: tuple[int, int], file: Path, where: str, part: SourcePart
) -> SourceObject | None:
    value = result["value"] if isinstance(result.get("value"), dict) else result
    if any(value.get(name) or result.get("type") == name for name in _WITHOUT_AREA):
        part.note("region of another kind", f"{where} is a keypoint, which has no area", file)
        return None
    labels = next((value[name] for name in _LABELS if isinstance(value.get(name), list) and value[name]), None)
    if labels is None or not isinstance(labels[0], str) or not labels[0].strip():
        has_area = any(name in value for name in ("x", "points", "rle"))
        if has_area:
            part.note("region without a label", f"{where} has no label", file)
        return None  # choices, ratings and texts are of the whole image
    name = nfc(labels[0].strip())
    height, width = size
    if "rle" in value:
        mask = decode_brush(value["rle"], height, width)
        if mask is None:
            part.note(
                "mask that cannot be used", f"{where} ({name}): its brush mask is damaged or of another size", file
            )
            return None
        return part.masked(name, mask, size, file, where)
    corners = list(_corners(value, size))
    if not corners or not all(math.isfinite(side) for corner in corners for side in corner):
        part.note("region that cannot be used", f"{where} ({name}) has no numbers x, y, width, height or points", file)
        return None
    outlined = part.outlined(name, [[side for corner in corners for side in corner]], size, file, where)
    is_box = "points" not in value and "radiusX" not in value and not number(value.get("rotation"))
    return outlined and SourceObject(name=name, box=outlined.box) if is_box else outlined


def _corners(value: Mapping[str, Any], size: tuple[int, int]) -> Iterator[tuple[float, float]]:
    """Corners in pixels, from percent; a box is turned around its upper left corner. None of what is no numbers."""
    height, width = size
    scale_x, scale_y = width / 100, height / 100
    if "points" in value:
        pairs = [numbers(pair) for pair in value["points"]] if isinstance(value["points"], list) else []
        if all(pair is not None and len(pair) == 2 for pair in pairs):
            yield from ((pair[0] * scale_x, pair[1] * scale_y) for pair in pairs if pair)
        return
    names = ("x", "y", "radiusX", "radiusY") if "radiusX" in value else ("x", "y", "width", "height")
    sides = numbers([value.get(name) for name in names])
    if sides is None:
        return
    left, top, across, down = (side * scale for side, scale in zip(sides, (scale_x, scale_y) * 2, strict=True))
    turn = math.radians(number(value.get("rotation")) or 0.0)
    if "radiusX" in value:
        angles = np.linspace(0, 2 * math.pi, _ELLIPSE_CORNERS, endpoint=False).tolist()
        offsets: Sequence[tuple[float, float]] = [(across * math.cos(a), down * math.sin(a)) for a in angles]
    else:
        offsets = [(0.0, 0.0), (across, 0.0), (across, down), (0.0, down)]
    for x, y in offsets:
        yield (left + x * math.cos(turn) - y * math.sin(turn), top + x * math.sin(turn) + y * math.cos(turn))


FORMAT = source_format(
    title="Label Studio", layout=LAYOUT, recognise=is_label_studio, read=read_label_studio, takes_images=True
)
