import pickle
import random
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fastitpn.errors import InputError
from fastitpn.pretraining.masking import BlockMasks, RandomMasks

GOLDEN = Path(__file__).parents[1] / "golden" / "block_masks.safetensors"
TINY = [(4, 4), (2, 6), (6, 2), (2, 2), (1, 8), (8, 1), (3, 5), (1, 2)]


@pytest.mark.parametrize(("name", "grid", "num_masked"), [("g14_75", 14, 75), ("g16_105", 16, 105), ("g16_75", 16, 75)])
def test_masks_equal_those_of_the_published_code(name, grid, num_masked):
    expected = load_file(GOLDEN)[name].bool().flatten(1)
    masks, rng = BlockMasks((grid, grid), num_masked), random.Random(0)
    drawn = torch.stack([masks(rng) for _ in range(len(expected))])
    assert drawn.dtype == torch.bool
    assert torch.equal(drawn, expected)


def test_masks_equal_those_of_the_published_code_with_every_default_spelled_out():
    expected = load_file(GOLDEN)["g14_75"].bool().flatten(1)
    masks = BlockMasks((14, 14), 75, min_block=16, max_block=75, min_aspect=0.3)
    assert torch.equal(masks(random.Random(0)), expected[0])
    assert not torch.equal(BlockMasks((14, 14), 75, min_block=4)(random.Random(0)), expected[0])
    assert not torch.equal(BlockMasks((14, 14), 75, min_aspect=0.5)(random.Random(0)), expected[0])


@pytest.mark.parametrize("grid", [*TINY, (4, 8), (14, 14), (7, 20)])
@pytest.mark.parametrize("ratio", [0.1, 0.4, 0.75])
def test_counts(grid, ratio):
    num_patches = grid[0] * grid[1]
    num_masked = min(max(1, round(ratio * num_patches)), num_patches - 1)
    bounded, exact = BlockMasks(grid, num_masked), BlockMasks(grid, num_masked, exact=True)
    scattered, rng = RandomMasks(grid, num_masked), random.Random(1)
    for _ in range(50):
        assert 1 <= int(bounded(rng).sum()) <= num_masked
        assert int(exact(rng).sum()) == int(scattered(rng).sum()) == num_masked
        assert exact(rng).shape == scattered(rng).shape == (num_patches,)


@pytest.mark.parametrize("masks", [BlockMasks((4, 8), 12, exact=True), RandomMasks((4, 8), 12)])
def test_every_patch_is_hidden_about_equally_often(masks):
    rng = random.Random(0)
    shares = torch.stack([masks(rng) for _ in range(2000)]).float().mean(0)
    assert float(shares.min()) > 0.1
    assert float(shares.max()) < 0.65


def neighbours(masked: torch.Tensor) -> float:
    """Share of hidden patches whose right neighbour is hidden too, of a mask [height, width]."""
    return float((masked[:, :-1] & masked[:, 1:]).sum() / masked.sum())


def test_blocks_are_compact():
    rng = random.Random(0)
    blocks = [neighbours(BlockMasks((8, 8), 26, exact=True)(rng).reshape(8, 8)) for _ in range(200)]
    scattered = [neighbours(RandomMasks((8, 8), 26)(rng).reshape(8, 8)) for _ in range(200)]
    assert sum(blocks) / 200 > 0.55
    assert sum(scattered) / 200 < 0.45


def test_the_largest_block_is_respected():
    masks = BlockMasks((14, 14), 9, min_block=1, max_block=1)
    assert int(masks(random.Random(0)).sum()) <= 9
    one = BlockMasks((14, 14), 100, min_block=2, max_block=2)(random.Random(3)).reshape(14, 14)
    assert int(one.sum()) > 20


@pytest.mark.parametrize("masks", [BlockMasks((6, 6), 14), RandomMasks((6, 6), 14)])
def test_masks_depend_on_the_generator_alone(masks):
    random.seed(0)
    first = masks(random.Random(7))
    assert torch.equal(pickle.loads(pickle.dumps(masks))(random.Random(7)), first)
    assert not torch.equal(masks(random.Random(8)), first)


@pytest.mark.parametrize(
    ("make", "num_masked", "least"),
    [(make, count, least) for make, least in ((BlockMasks, 1), (RandomMasks, 0)) for count in (least - 1, -2, 16, 17)],
)
def test_impossible_counts_are_refused(make, num_masked, least):
    expected = rf"(?s){num_masked} masked patches.*4x4.*{least} to 15 masked of 16.*mask\.ratio"
    with pytest.raises(InputError, match=expected):
        make((4, 4), num_masked)


def test_a_mask_may_hide_nothing():
    assert not RandomMasks((4, 4), 0)(random.Random(0)).any()


def test_impossible_blocks_are_refused():
    with pytest.raises(InputError, match=r"(?s)min_block is 20 and max_block 2\n.*4x8.*min_block <= max_block.*null"):
        BlockMasks((4, 8), 15, min_block=20, max_block=2)
    with pytest.raises(InputError, match="min_block is 0"):
        BlockMasks((4, 8), 15, min_block=0)
    with pytest.raises(InputError, match=r"(?s)min_aspect is 1.5.*<= 1"):
        BlockMasks((4, 8), 15, min_aspect=1.5)


def test_the_smallest_block_shrinks_with_the_grid():
    small = BlockMasks((4, 4), 6)
    sizes = {int(BlockMasks((4, 4), 6, max_block=1)(random.Random(seed)).sum()) for seed in range(20)}
    assert sizes <= {4, 5, 6}  # single patches: the smallest block is 1, not 16
    assert len({tuple(small(random.Random(seed)).tolist()) for seed in range(50)}) > 20


def test_a_block_never_spans_the_grid():
    masks = BlockMasks((2, 40), 2, min_block=100, max_block=2)  # one block of 2 patches, if it fits
    for seed in range(300):
        upper, lower = masks(random.Random(seed)).reshape(2, 40)
        assert not bool((upper & lower).any())


@pytest.mark.parametrize("grid", [(1, 12), (12, 1)])
def test_blocks_fit_in_a_single_row_or_column(grid):
    counts = [int(BlockMasks(grid, 4)(random.Random(seed)).sum()) for seed in range(50)]
    assert sum(counts) / 50 > 2
