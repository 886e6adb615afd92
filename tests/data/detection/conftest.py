"""Data sets in formats other than COCO's."""

from pathlib import Path

import pytest
from boxes_example import write_voc, write_yolo


@pytest.fixture
def voc(tmp_path) -> Path:
    """As published: lists of images, corners that count from 1; the parts train and val."""
    return write_voc(tmp_path / "VOC")


@pytest.fixture
def yolo(tmp_path) -> Path:
    """Boxes, an outline, an empty file and a missing one; the parts train and val."""
    return write_yolo(tmp_path / "yolo")
