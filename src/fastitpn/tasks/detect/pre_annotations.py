"""Detections as pre-annotations for labelling tools: a person corrects them, and `finetune detect` reads them again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from fastitpn.data.detection.formats.label_studio_brush import encode_brush
from fastitpn.files import replacing, write_text
from fastitpn.inference.results import Results
from fastitpn.inference.written_pictures import place_in
from fastitpn.reporting.values import printable
from fastitpn.tasks.detect.results import DetectedInstance, ImageDetections

CVAT, LABEL_STUDIO, LABEL_STUDIO_CONFIG = "cvat.xml", "label_studio.json", "label_studio_config.xml"


def write_cvat(results: Results[ImageDetections], source: Path, out: Path) -> Path:
    """Write `cvat.xml` in the format "CVAT for images 1.1": boxes, or masks of a network that has them.

    Raises:
        InputError: It could not be written.
    """
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    labels = ElementTree.SubElement(_path(root, "meta", "task"), "labels")
    for name in results[0].classes:
        ElementTree.SubElement(ElementTree.SubElement(labels, "label"), "name").text = printable(name)
    for number, result in enumerate(results):
        width, height = map(str, result.size)
        image = ElementTree.SubElement(
            root, "image", id=str(number), name=_name(result, source), width=width, height=height
        )
        for instance in result.instances:
            kind = "box" if instance.mask is None else "mask"
            shape = _cvat_box(instance) if instance.mask is None else _cvat_mask(instance.mask)
            label = {"label": printable(instance.name), "source": "auto", "occluded": "0", "z_order": "0"}
            ElementTree.SubElement(image, kind, label | shape)
    ElementTree.indent(root)
    with replacing(out / CVAT) as file:
        ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    return out / CVAT


def write_label_studio(results: Results[ImageDetections], source: Path, out: Path) -> Path:
    """Write `label_studio.json`, tasks with predictions to import, and the labelling configuration that goes with it.

    The tasks name images as Label Studio's local storage does: `/data/local-files/?d=PATH`, relative to the source.

    Raises:
        InputError: It could not be written.
    """
    tasks = [
        {
            "data": {"image": f"/data/local-files/?d={_name(result, source)}"},
            "predictions": [
                {
                    "model_version": "fastitpn",
                    "score": min((instance.score for instance in result.instances), default=0.0),
                    "result": list(_regions(result)),
                }
            ],
        }
        for result in results
    ]
    write_text(out / LABEL_STUDIO, json.dumps(tasks, ensure_ascii=False) + "\n", errors="backslashreplace")
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image")
    has_masks = any(instance.rle is not None for result in results for instance in result.instances)
    labels = ElementTree.SubElement(
        view, "BrushLabels" if has_masks else "RectangleLabels", name="label", toName="image"
    )
    for name in results[0].classes:
        ElementTree.SubElement(labels, "Label", value=printable(name))
    ElementTree.indent(view)
    write_text(out / LABEL_STUDIO_CONFIG, ElementTree.tostring(view, "unicode") + "\n")
    return out / LABEL_STUDIO


def _regions(result: ImageDetections) -> Iterator[dict[str, Any]]:
    width, height = result.size
    for number, instance in enumerate(result.instances):
        left, top, right, bottom = instance.box
        if instance.mask is None:
            kind = "rectanglelabels"
            value: dict[str, Any] = {
                "x": 100 * left / width,
                "y": 100 * top / height,
                "width": 100 * (right - left) / width,
                "height": 100 * (bottom - top) / height,
                "rotation": 0,
            }
        else:
            kind, value = "brushlabels", {"format": "rle", "rle": encode_brush(instance.mask)}
        yield {
            "id": str(number),
            "type": kind,
            "from_name": "label",
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": instance.score,
            "value": value | {kind: [instance.name]},
        }


def _cvat_box(instance: DetectedInstance) -> dict[str, str]:
    names = ("xtl", "ytl", "xbr", "ybr")
    return {name: f"{side:.2f}" for name, side in zip(names, instance.box, strict=True)}


def _cvat_mask(mask: np.ndarray) -> dict[str, str]:
    """Run lengths row by row, from 0 on, within the rectangle around the mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return {"rle": "1", "left": "0", "top": "0", "width": "1", "height": "1"}
    left, top = int(columns[0]), int(rows[0])
    inside = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    values = np.concatenate(([False], inside.ravel()))
    changes = np.flatnonzero(values[1:] != values[:-1])
    runs = np.diff(np.concatenate(([0], changes, [inside.size])))
    height, width = inside.shape
    sides = {"left": left, "top": top, "width": width, "height": height}
    return {"rle": ", ".join(map(str, runs.tolist())), **{name: str(side) for name, side in sides.items()}}


def _name(result: ImageDetections, source: Path) -> str:
    assert result.path is not None
    return printable(place_in(source, result.path).as_posix())


def _path(element: ElementTree.Element, *names: str) -> ElementTree.Element:
    for name in names:
        element = ElementTree.SubElement(element, name)
    return element
