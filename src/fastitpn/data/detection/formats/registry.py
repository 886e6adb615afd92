"""The formats of boxes and masks, by name: training, `evaluate`, `doctor`, `data convert` and the docs follow it."""

from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from fastitpn.data.detection.formats.base import LabelFormat, Parts
from fastitpn.errors import InputError
from fastitpn.listing import children
from fastitpn.registry import Registry

FORMATS: Registry[LabelFormat] = Registry(
    "label format",
    {
        "coco": "fastitpn.data.detection.formats.coco:FORMAT",
        "labelme": "fastitpn.data.detection.formats.labelme:FORMAT",
        "label_studio": "fastitpn.data.detection.formats.label_studio:FORMAT",
        "cvat": "fastitpn.data.detection.formats.cvat:FORMAT",
        "voc": "fastitpn.data.detection.formats.voc:FORMAT",
        "dota": "fastitpn.data.detection.formats.dota:FORMAT",
        "yolo": "fastitpn.data.detection.formats.yolo:FORMAT",
        "csv": "fastitpn.data.detection.formats.box_table:FORMAT",
    },
)
"""Asked in this order whether data is theirs; data of none is answered by the first."""


def recognise(data: Path) -> str | None:
    """The name of the format of a file or folder; None if it is in none of them."""
    return next((name for name in FORMATS if FORMATS[name].recognise(data)), None)


def open_annotations(data: Path, images: Path | None = None) -> Parts:
    """The parts of a data set in any of the formats.

    Args:
        data: File or folder.
        images: Folder of the images; None finds it.

    Raises:
        InputError: A folder is missing, or the format has nothing to do with `images`.
    """
    if not data.exists():
        raise InputError("there is no such file or folder", where=data, expected=layouts(), fix="check the path")
    return FORMATS[recognise(data) or next(iter(FORMATS))].open(data, images)


def layouts(names: Iterable[str] = FORMATS) -> str:
    """What formats look like, for messages."""
    return ". ".join(f"{FORMATS[name].title}: {FORMATS[name].layout}" for name in names)


def nothing_to_use(data: Path) -> NoReturn:
    """Raises for a folder without annotations for what is to be done."""
    _stop_at_masks(data)
    title = FORMATS[recognise(data) or next(iter(FORMATS))].title.removesuffix(" annotations")
    inside = sorted(path.name for path in children(data) if not path.name.startswith(".")) if data.is_dir() else []
    shown = f"{', '.join(inside[:10])}{', ...' * (len(inside) > 10)}" or "nothing"
    place = f"in this folder, which has {shown}" if data.is_dir() else "in this file"
    raise InputError(
        f"no {title} annotations to use {place}",
        where=data,
        expected=layouts(),
        fix="data=FILE.json val=FILE.json images=FOLDER, for COCO's format in another layout",
    )


def _stop_at_masks(data: Path) -> None:
    """Raises for data of segmentation, whose masks do not tell one object from another, or in another way."""
    from fastitpn.data.segmentation.formats.registry import FORMATS as MASK_FORMATS  # which read outlines by this one
    from fastitpn.data.segmentation.masked_images import MaskFolders

    folders = MaskFolders(data=data)
    form = next((MASK_FORMATS[name] for name in MASK_FORMATS if MASK_FORMATS[name].claims(folders)), None)
    if form is not None:
        raise InputError(
            f"this data has masks of pixels ({form.title}), and no boxes or outlines of objects",
            where=data,
            expected=layouts(),
            fix=f"finetune segment{' panoptic=true head=maskdino' if form.panoptic else ''} data={data}",
        )
