import pytest
import torch
from published import assert_golden, golden

from fastitpn.models.layers.position import RESIZE_FORMS, resize_position_table

STORED = [
    ("finetune_24x24", 24, 24, "size"),
    ("finetune_10x10", 10, 10, "size"),
    ("runtime_16x16", 16, 16, "scale_factor"),
    ("runtime_20x12", 20, 12, "scale_factor"),
    ("sutrack_7x7_align_corners", 7, 7, "align_corners"),
    ("sutrack_24x24_align_corners", 24, 24, "align_corners"),
]


@pytest.mark.parametrize(("name", "height", "width", "form"), STORED)
def test_every_stored_form(name: str, height: int, width: int, form: str) -> None:
    stored = golden("pos_embed_interp")
    table = stored["src_14x14"]
    assert_golden(resize_position_table(table, 14, 14, height, width, form), stored[name])
    larger_crop = {"crop"} if form == "align_corners" and height > 14 else set()  # which is the same there
    for other in set(RESIZE_FORMS) - {form} - larger_crop:
        with pytest.raises(AssertionError, match="not close"):
            assert_golden(resize_position_table(table, 14, 14, height, width, other), stored[name])


def test_no_stored_form_is_left_out() -> None:
    assert {name for name, *_ in STORED} == set(golden("pos_embed_interp")) - {"src_14x14"}


@pytest.mark.parametrize("form", RESIZE_FORMS)
def test_the_table_of_an_unchanged_grid_is_returned_as_it_is(form: str) -> None:
    table = torch.randn(1, 1 + 16, 8)
    assert resize_position_table(table, 4, 4, 4, 4, form) is table
    assert resize_position_table(table, 2, 8, 2, 8, form) is table


@pytest.mark.parametrize("form", RESIZE_FORMS)
def test_class_token_row_and_dtype_are_kept(form: str) -> None:
    table = torch.randn(1, 1 + 12, 8)
    resized = resize_position_table(table, 3, 4, 6, 5, form)
    assert resized.shape == (1, 1 + 30, 8)
    assert torch.equal(resized[:, 0], table[:, 0])
    torch.testing.assert_close(resized[:, 1:], resize_position_table(table[:, 1:], 3, 4, 6, 5, form))
    half = resize_position_table(table.bfloat16(), 3, 4, 6, 5, form)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), resized, atol=0.03, rtol=0.03)


def test_gradients_reach_the_table() -> None:
    table = torch.randn(1, 16, 8, requires_grad=True)
    resize_position_table(table, 4, 4, 6, 6).sum().backward()
    assert (table.grad != 0).all()
