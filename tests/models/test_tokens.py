"""Shares of a box in patches, and tokens left out and put back."""

import pytest
import torch

from fastitpn.errors import InputError
from fastitpn.models.tokens import foreground_shares, gather_tokens, scatter_tokens


@pytest.mark.parametrize(
    ("box", "shares"),
    [
        ((0, 0, 32, 48), [1, 1, 1, 1, 1, 1]),
        ((0, 0, 16, 16), [1, 0, 0, 0, 0, 0]),
        ((8, 8, 16, 16), [0.25, 0.25, 0.25, 0.25, 0, 0]),
        ((0.5, 0, 1, 16), [1 / 16, 0, 0, 0, 0, 0]),  # of the pixels, 1 alone is inside
        ((0.5, 0, 0.4, 16), [0, 0, 0, 0, 0, 0]),
        ((-20, 40, 100, 100), [0, 0, 0, 0, 0.5, 0.5]),
        ((0, 0, 15.2, 1), [1 / 16, 0, 0, 0, 0, 0]),
    ],
)
def test_shares_of_a_box(box: tuple[float, ...], shares: list[float]) -> None:
    actual = foreground_shares(torch.tensor([box, (0, 0, 0, 0)], dtype=torch.float32), 48, 32)
    assert actual.shape == (2, 6, 1)
    torch.testing.assert_close(actual[0, :, 0], torch.tensor(shares, dtype=torch.float32))
    assert (actual[1] == 0).all()


def test_boxes_and_sizes_that_are_wrong() -> None:
    with pytest.raises(InputError, match=r"boxes of shape \[4\]\n.*\[B, 4\]"):
        foreground_shares(torch.zeros(4), 32, 32)
    with pytest.raises(InputError, match="image of 30x32 px"):
        foreground_shares(torch.zeros(1, 4), 30, 32)


def test_tokens_are_left_out_and_put_back() -> None:
    tokens = torch.randn(2, 5, 3)
    mask = torch.tensor([[True, False, True, False, False], [False, False, False, True, True]])
    numbers = torch.tensor([[0, 2], [3, 4]])
    assert torch.equal(gather_tokens(tokens, mask), tokens[mask].view(2, 2, 3))
    assert torch.equal(gather_tokens(tokens, numbers.flip(1)), tokens[mask].view(2, 2, 3).flip(1))
    for kept in (mask, numbers, numbers.flip(1)):
        assert torch.equal(scatter_tokens(gather_tokens(tokens, kept), kept, 5), tokens * mask[..., None])


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        (torch.tensor([[True, False], [True, True]]), "a mask that keeps 1 to 2 tokens"),
        (torch.ones(2, 3, dtype=torch.bool), r"a mask of \[2, 3\]\n.*kept\n.*\[2, 2\]"),
        (torch.zeros(2, dtype=torch.int64), r"kept=\[2\] torch.int64"),
        (torch.zeros(2, 1), r"kept=\[2, 1\] torch.float32"),
    ],
)
def test_what_is_kept_must_be_the_same_count_everywhere(kept: torch.Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        gather_tokens(torch.zeros(2, 2, 3), kept)
