import numpy as np
import pytest
import torch
from PIL import Image

from fastitpn.reporting.pictures import (
    BACKGROUND,
    BAD,
    GOOD,
    HIDDEN,
    Item,
    contact_sheet,
    load_font,
    masked_rows,
    to_pictures,
    wrap_text,
)


def image(colour: tuple[int, ...] = (10, 20, 200), size: tuple[int, int] = (64, 32), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, colour if len(colour) > 1 else colour[0])


def holds(picture: Image.Image, colour: tuple[int, int, int]) -> bool:
    return bool((np.asarray(picture) == colour).all(-1).any())


def test_right_and_wrong_are_marked() -> None:
    for good, present, absent in ((True, GOOD, BAD), (False, BAD, GOOD)):
        sheet = contact_sheet([Item(image(), "cat", good)])
        assert holds(sheet, present)
        assert not holds(sheet, absent)
    unmarked = contact_sheet([(image(), "cat", None)])
    assert not holds(unmarked, GOOD)
    assert not holds(unmarked, BAD)


def test_columns_and_rows() -> None:
    one, four = contact_sheet([(image(), "a", None)], 4), contact_sheet([(image(), "a", None)] * 4, 4)
    five = contact_sheet([(image(), "a", None)] * 5, 4)
    assert four.width > 3 * one.width
    assert four.height == one.height
    assert (five.width, five.height > four.height) == (four.width, True)


def test_pictures_are_shown_whole() -> None:
    sheet = np.asarray(contact_sheet([(image(size=(100, 50)), "", None)], tile_px=200)).astype(int)
    blue = (abs(sheet - (10, 20, 200)) < 3).all(-1)
    assert blue.any(0).sum() == 200
    assert blue.any(1).sum() == 100


def test_captions_are_drawn_and_never_leave_their_tile() -> None:
    blank = np.asarray(contact_sheet([(image(), "", None)] * 2, 2))
    for caption in ("cat", "a caption that is far too long " * 9, "W" * 400, "犬 кот\n\x00"):
        sheet = np.asarray(contact_sheet([(image(), caption, None), (image(), "", None)], 2))
        rows = min(len(sheet), len(blank))
        assert (sheet[:rows] != blank[:rows]).any()
        right_half = sheet[:, sheet.shape[1] // 2 :]
        below = right_half[right_half.shape[0] - 60 :]
        assert (below == BACKGROUND).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1"])
def test_every_mode_of_image_is_accepted(mode: str) -> None:
    assert contact_sheet([(image().convert(mode), "cat", True)]).mode == "RGB"


def test_a_sheet_needs_images() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        contact_sheet([])


def test_normalisation_is_undone() -> None:
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.1)
    pixels = torch.rand(2, 3, 16, 32)
    normalised = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    pictures = to_pictures(normalised, mean, std)
    assert pictures[0].size == (32, 16)
    back = torch.from_numpy(np.array(pictures[1])).permute(2, 0, 1) / 255
    assert (back - pixels[1]).abs().max() <= 0.5 / 255 + 1e-5


def rows(prediction_scale: float = 1.0, **changes: torch.Tensor) -> Image.Image:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(2, 8, 12, generator=generator)
    masked = torch.zeros(2, 8, dtype=torch.bool)
    masked[0, 5] = True  # row 1, column 1 of the 2 x 4 patches
    arguments = {
        "masked": masked,
        "targets": tokens,
        "predictions": tokens * prediction_scale,
        "level": torch.randn(2, 6, 8, 16, generator=generator),
    } | changes
    return masked_rows([image()] * 2, **arguments, tile_px=128)


def tile(sheet: Image.Image, column: int, row: int = 0) -> np.ndarray:
    gap, top = 6, 6 + 2 * 13
    x, y = gap + column * (128 + gap), top + row * (64 + gap)
    return np.asarray(sheet.crop((x, y, x + 128, y + 64)))


def test_hidden_patches_are_grey_and_only_those() -> None:
    shown = tile(rows(), 1)
    assert (shown[37:59, 37:59] == HIDDEN).all()  # the rim is blurred where the picture is enlarged
    assert (shown[:27] == (10, 20, 200)).all()
    assert (tile(rows(), 1, row=1) == (10, 20, 200)).all()


def test_a_right_prediction_has_the_colours_of_its_target_at_any_length() -> None:
    for scale in (1.0, 7.0):
        sheet = rows(scale)
        assert np.array_equal(tile(sheet, 2), tile(sheet, 3))
    wrong = rows(predictions=torch.randn(2, 8, 12) + 1)
    assert not np.array_equal(tile(wrong, 2), tile(wrong, 3))


def test_tokens_lie_where_their_patches_do() -> None:
    targets = torch.zeros(2, 8, 12)
    targets[:, :, 0] = 1.0
    targets[0, 5] = torch.eye(12)[3]
    shown = tile(rows(targets=targets, predictions=targets), 2).astype(int)
    odd = (shown != shown[0, 0]).any(-1)
    assert odd[32:, 32:64].all()
    assert odd.sum() == 32 * 32


def test_the_level_is_optional() -> None:
    assert (
        rows().width
        - masked_rows(
            [image()], torch.zeros(1, 8, dtype=torch.bool), torch.randn(1, 8, 4), torch.randn(1, 8, 4), tile_px=128
        ).width
        == 128 + 6
    )


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"masked \(2, 9\) does not fit 2 images of 32x64 px"):
        rows(masked=torch.zeros(2, 9, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"targets \(2, 8, 12\) and predictions \(2, 8, 5\) must both be \[2, 8, C\]"):
        rows(predictions=torch.zeros(2, 8, 5))


def test_a_name_that_is_too_long_breaks_between_its_words():
    font = load_font(13)
    width = round(font.getlength("photograph_of_")) + 1
    assert wrap_text("photograph_of_something", font, width) == ["photograph_of_", "something"]
    assert wrap_text("a cat_and_dog", font, round(font.getlength("cat_and_dog")) + 1) == ["a", "cat_and_dog"]
