"""Damaged files of labels never end in a traceback: `pytest tests/data/test_fuzz.py --fuzz=5000` for many of them."""

import io
from pathlib import Path

import pytest
from fuzzing import Labels, check_reading
from PIL import Image

from fastitpn.data.images.folders import unlabelled
from fastitpn.data.images.lists import read_list
from fastitpn.data.images.tables import read_table


def picture(px: tuple[int, int] = (8, 6), form: str = "PNG", mode: str = "RGB") -> bytes:
    """An image file of one colour."""
    file = io.BytesIO()
    Image.new(mode, px, 1).save(file, form)
    return file.getvalue()


PICTURES = {f"{name}/{number}.png": picture() for name in ("cat", "dög") for number in range(3)}
LIST = "".join(f"{name}\n" for name in PICTURES).encode()
TABLE = ("image,label\n" + "".join(f"{name},{name.split('/')[0]}\n" for name in PICTURES)).encode()

LABELS = {
    "table": Labels(files={**PICTURES, "labels.csv": TABLE}, read=lambda folder: read_table(folder / "labels.csv")),
    "list": Labels(files={**PICTURES, "train.txt": LIST}, read=lambda folder: read_list(folder / "train.txt")),
    "table as a list": Labels(files={**PICTURES, "a.csv": TABLE}, read=lambda folder: unlabelled(folder / "a.csv")),
}


@pytest.mark.parametrize("name", LABELS)
def test_damaged_labels_raise_the_own_error_or_none(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    check_reading(LABELS[name], tmp_path, request.config.getoption("--fuzz") // len(LABELS))
