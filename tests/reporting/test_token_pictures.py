import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor

from fastitpn.models.acceleration.token_trace import TokenTrace
from fastitpn.reporting.svg import PALETTE
from fastitpn.reporting.token_pictures import TILE_PX, count_left, token_picture

SIDE = TILE_PX // 4
BLUE, ORANGE = (np.array(ImageColor.getrgb(colour)) for colour in PALETTE[:2])


def trace(**changes) -> TokenTrace:
    """A map of 4x4 tokens: the first row left at the first step, the second at the second; windows of 2x2."""
    left = torch.tensor([[1] * 4 + [2] * 4 + [0] * 8])
    match = torch.full((1, 16), -1)
    match[0, :4] = torch.arange(4, 8)
    match[0, 4:8] = torch.arange(8, 12)
    rows, columns = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
    window = (rows // 2 * 2 + columns // 2).flatten()
    gathered = torch.full((1, 4, 16), 0.1) * (window == torch.arange(4)[:, None])
    plain = TokenTrace(
        grid=(4, 4), steps=(1, 3), left=left, match=match, windows=(2, 2), window=window, gathered=gathered
    )
    return dataclasses.replace(plain, **changes)


def rows_of_colours() -> Image.Image:
    """64x64: each row of tokens has a gray of its own."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    for row in range(4):
        pixels[16 * row : 16 * row + 16] = 60 * row + 20
    return Image.fromarray(pixels)


def panels(picture: Image.Image) -> list[np.ndarray]:
    """The pictures in it, [448, 448, 3] each, found by the rows of colours of the first."""
    pixels = np.asarray(picture).astype(int)
    left = 20
    first = next(y for y in range(picture.height) if (pixels[y, left : left + TILE_PX] == 20).all())
    count = (picture.width - 20) // (TILE_PX + 20)
    return [
        pixels[first : first + TILE_PX, 20 + n * (TILE_PX + 20) : 20 + n * (TILE_PX + 20) + TILE_PX]
        for n in range(count)
    ]


def middle(panel: np.ndarray, row: int, column: int) -> np.ndarray:
    """The colour in the middle of a token."""
    return panel[row * SIDE + SIDE // 2, column * SIDE + SIDE // 2]


def test_counts_by_step():
    assert count_left(trace()) == [(1, 4, 16), (3, 4, 12)]
    assert count_left(trace(steps=(), left=torch.zeros(1, 16, dtype=torch.long))) == []


def test_tokens_that_left_have_the_colour_of_their_step():
    image, left, *_ = panels(token_picture(rows_of_colours(), trace(), title="a"))
    for column in range(4):
        for row, colour in ((0, BLUE), (1, ORANGE)):
            expected = 0.5 * 0.45 * middle(image, row, column) + 0.5 * colour
            assert abs(middle(left, row, column) - expected).max() < 2
        for row in (2, 3):
            assert (middle(left, row, column) == middle(image, row, column)).all()


def test_a_token_that_left_is_drawn_as_the_match_of_its_match():
    image, _, drawn, _ = panels(token_picture(rows_of_colours(), trace(), title="a"))
    for row in range(3):  # the first row was matched with the second, and that one with the third
        assert (middle(drawn, row, 1) == middle(image, 2, 1)).all()
    assert (middle(drawn, 3, 1) == middle(image, 3, 1)).all()


def test_windows_are_framed_and_warm_where_they_look():
    gathered = trace().gathered.clone()
    gathered[0, 0, 0] = 0.9  # window 0 looks at its first token
    gathered[0, 3] *= 5  # all of a window alike is no preference
    panel = panels(token_picture(rows_of_colours(), trace(gathered=gathered), title="a"))[3]
    assert middle(panel, 0, 0).sum() > middle(panel, 0, 1).sum() + 150
    assert abs(middle(panel, 3, 3) - middle(panel, 3, 2)).max() == 0
    light = (panel > 200).all(-1)
    assert light[:, 2 * SIDE].mean() > 0.9
    assert light[2 * SIDE].mean() > 0.9
    assert light[:, SIDE].mean() < 0.1


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 4),
        ({"match": torch.full((1, 16), -1)}, 3),
        ({"gathered": torch.zeros(1, 0, 16)}, 4),
        ({"windows": (1, 1), "window": torch.zeros(16, dtype=torch.long), "gathered": torch.zeros(1, 0, 16)}, 3),
        ({"steps": (), "left": torch.zeros(1, 16, dtype=torch.long), "match": torch.full((1, 16), -1)}, 2),
    ],
)
def test_what_there_is_nothing_to_show_of_is_left_out(changes, count):
    picture = token_picture(rows_of_colours(), trace(**changes), title="a", notes=["b"])
    assert len(panels(picture)) == count


@pytest.mark.parametrize("grid", [(1, 1), (2, 7), (64, 64)])
def test_any_map(grid):
    tokens = grid[0] * grid[1]
    flat = {"left": torch.ones(1, tokens, dtype=torch.long), "match": torch.zeros(1, tokens, dtype=torch.long)}
    one = {"windows": (1, 1), "window": torch.zeros(tokens, dtype=torch.long), "gathered": torch.zeros(1, 0, tokens)}
    image = Image.new("L", (16 * grid[1], 16 * grid[0]), 90)
    picture = token_picture(image, trace(grid=grid, **flat, **one), title="犬\x00" * 200, notes=["long " * 200] * 2)
    assert picture.mode == "RGB"
    assert picture.width < 2200


def test_a_batch_is_refused():
    with pytest.raises(ValueError, match="a trace of one image expected, got 2"):
        token_picture(rows_of_colours(), trace(left=torch.zeros(2, 16, dtype=torch.long)), title="a")
