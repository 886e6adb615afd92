"""The formats of masks, by name: training, `evaluate`, `doctor` and the docs follow it."""

from fastitpn.data.segmentation.formats.base import MaskFormat
from fastitpn.data.segmentation.masked_images import MaskFolders
from fastitpn.registry import Registry

FORMATS: Registry[MaskFormat] = Registry(
    "mask format",
    {
        "panoptic": "fastitpn.data.segmentation.formats.panoptic:FORMAT",
        "coco": "fastitpn.data.segmentation.formats.coco:FORMAT",
        "cityscapes": "fastitpn.data.segmentation.formats.cityscapes:FORMAT",
        "voc": "fastitpn.data.segmentation.formats.voc:FORMAT",
        "one_folder": "fastitpn.data.segmentation.formats.one_folder:FORMAT",
        "folders": "fastitpn.data.segmentation.formats.folders:FORMAT",
    },
)
"""Asked in this order whether data is theirs."""


def format_of(folders: MaskFolders, *parts: str) -> MaskFormat:
    """The format of data with any of these parts ("train", "val"); that of folders if it is none, for its errors."""
    forms = (FORMATS[name] for name in FORMATS)
    recognised = (form for form in forms if any(form.recognise(folders, part) for part in parts))
    return next(recognised, FORMATS["folders"])
