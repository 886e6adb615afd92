"""The formats of classes, by name: training, `evaluate`, `doctor` and the docs follow it."""

from pathlib import Path

from fastitpn.data.classification.formats.base import ClassFormat
from fastitpn.registry import Registry

FORMATS: Registry[ClassFormat] = Registry(
    "class format",
    {
        "table": "fastitpn.data.classification.formats.table:FORMAT",
        "tar_shards": "fastitpn.data.classification.formats.tar_shards:FORMAT",
        "folders": "fastitpn.data.classification.formats.folders:FORMAT",
    },
)
"""Asked in this order whether data is theirs."""


def recognise(data: Path) -> str | None:
    """The name of the format of a file or folder; None if it is in none of them."""
    return next((name for name in FORMATS if FORMATS[name].recognise(data)), None)


def format_of(data: Path) -> ClassFormat:
    """The format of data that should have classes; if it is none, the one whose errors help."""
    return FORMATS[recognise(data) or ("table" if data.is_file() else "folders")]
