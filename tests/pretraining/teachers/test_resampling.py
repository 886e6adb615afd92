"""Teachers' maps on the grids of the student's levels."""

import pytest
import torch
from published import randn

from fastitpn.errors import InputError
from fastitpn.models.layers.cells import cells_to_map
from fastitpn.pretraining.teachers.resampling import to_cells, to_grid


def rows(side: int) -> torch.Tensor:
    """A map whose features are the place's row and column as shares, [1, side * side, 2]."""
    steps = (torch.arange(side) + 0.5) / side
    return torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1).reshape(1, -1, 2)


@pytest.mark.parametrize("upsample", [1, 2, 4])
@pytest.mark.parametrize("cells", [1, 4, 16])
def test_every_feature_lands_where_it_was(upsample, cells):
    side = 6
    found = to_cells(rows(side * upsample), cells=cells, upsample=upsample)
    assert found.shape == (1, side * side, cells, 2)
    fine = cells_to_map(found, side, side, channels_last=True)[0]
    k = fine.shape[0]
    expected = rows(k).view(k, k, 2)
    inner = slice(k // side, -k // side)  # interpolation holds the border's values beyond it
    torch.testing.assert_close(fine[inner, inner], expected[inner, inner], atol=1e-5, rtol=0)


def test_the_same_grid_is_left_as_it_is():
    features = randn(2, 16, 5)
    assert torch.equal(to_cells(features, cells=1, upsample=1).squeeze(2), features)


def test_coarser_levels_are_means():
    features = randn(1, 64, 3)
    coarse = to_cells(features, cells=1, upsample=4)
    expected = features.view(2, 4, 2, 4, 3).mean((1, 3)).view(1, 4, 1, 3)
    torch.testing.assert_close(coarse, expected)


@pytest.mark.parametrize(("number", "upsample"), [(15, 1), (9, 2)])
def test_a_map_that_does_not_fit_is_refused(number, upsample):
    with pytest.raises(InputError, match=f"the teacher gives {number} features an image"):
        to_cells(randn(1, number, 3), cells=1, upsample=upsample)


@pytest.mark.parametrize(("patches", "cells"), [(9, 1), (9, 4), (81, 1), (36, 16)])
def test_targets_move_to_the_grid_of_another_size(patches, cells):
    wanted = round(patches**0.5)
    targets = to_cells(rows(6 * 4), cells=cells, upsample=4)
    moved = to_grid(targets, patches)
    assert moved.shape == (1, patches, cells, 2)
    side = wanted * round(cells**0.5)
    fine = cells_to_map(moved, wanted, wanted, channels_last=True)[0]
    torch.testing.assert_close(fine[1:-1, 1:-1], rows(side).view(side, side, 2)[1:-1, 1:-1], atol=0.02, rtol=0)
    assert to_grid(targets, 36) is targets
