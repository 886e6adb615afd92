"""Small image files for the tests, cut from real photographs."""

from collections.abc import Callable
from pathlib import Path

import pytest
import skimage.data
from PIL import Image


@pytest.fixture(scope="session")
def photo() -> Image.Image:
    """A photograph, 96 x 72 px (not square, so that a swap of height and width shows)."""
    return Image.fromarray(skimage.data.coffee()).resize((96, 72))


@pytest.fixture
def write_images(photo: Image.Image) -> Callable[..., list[Path]]:
    """Writes crops of the photograph to the given paths."""

    def write(folder: Path, *names: str) -> list[Path]:
        paths = [folder / name for name in names]
        for number, path in enumerate(paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            photo.crop((number % 40, number % 30, number % 40 + 40, number % 30 + 32)).save(path)
        return paths

    return write
