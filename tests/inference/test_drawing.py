import numpy as np
import pytest
from PIL import Image

from fastitpn.inference.drawing import Share, card, fitted


@pytest.mark.parametrize(
    ("size", "expected"), [((200, 100), (64, 32)), ((10, 20), (32, 64)), ((5000, 2), (64, 1)), ((2, 5000), (1, 64))]
)
def test_the_longest_side_is_fitted(size, expected):
    assert fitted(Image.new("RGB", size), 64).size == expected


def test_a_bar_is_as_long_as_its_score():
    picture = card(
        Image.new("RGB", (60, 30), "red"), [Share("a", 0.75, (200, 0, 0)), Share("b", 0.25, (0, 0, 200))], px=200
    )
    assert picture.size[0] == 200
    pixels = np.asarray(picture).astype(int)
    assert (pixels[:100] == (255, 0, 0)).all()
    line_px = (picture.height - 100) // 2
    for line, score in enumerate((0.75, 0.25)):
        row = pixels[100 + line * line_px + 2]
        colored = np.flatnonzero((row != 255).any(axis=-1))
        assert colored.max() == pytest.approx(score * 200, abs=2)
        below = pixels[100 + (line + 1) * line_px - 2]  # in the full colour of the class
        assert np.flatnonzero((below == ((200, 0, 0), (0, 0, 200))[line]).all(-1)).max() == colored.max()


def test_long_and_strange_names_stay_inside():
    plain = card(Image.new("RGB", (60, 30)), [Share("", 0.0)], px=200)
    for name in ("a very long name " * 20, "лилия\x1b[31m", "百合"):
        picture = card(Image.new("RGB", (60, 30)), [Share(name, 0.0)], px=200)
        assert picture.size == plain.size
        changed = np.flatnonzero((np.asarray(picture) != np.asarray(plain)).any(axis=(0, 2)))
        assert changed.size > 0
        assert changed.max() < 160  # left of the percentage
