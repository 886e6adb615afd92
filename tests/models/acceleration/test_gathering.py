"""Token gathering: windows, their tokens, and the news that these carry."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from published import small_model
from torch import Tensor

from fastitpn import Gathering, InputError
from fastitpn.models.acceleration.attention import attend_accelerated
from fastitpn.models.acceleration.gathering import Windows
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.models.acceleration.windows import (
    attention_mask,
    gathering_tokens,
    join_map,
    mean_token,
    split_map,
    token_sizes,
)
from fastitpn.models.backbone import FastITPN

few = settings(max_examples=20, deadline=None, derandomize=True, database=None)
sides = st.integers(1, 13)


def small(**changes: Any) -> FastITPN:
    return small_model(**{"depths": (1, 1, 3), "img_size": (80, 112), **changes})


@few
@given(sides, sides, st.integers(1, 14))
def test_windows_are_as_few_as_may_be_equal_and_hold_every_patch_once(height: int, width: int, window: int) -> None:
    windows = Windows.cut(height, width, window)
    assert (windows.rows, windows.columns) == (math.ceil(height / window), math.ceil(width / window))
    assert max(windows.window_height, windows.window_width) <= window
    assert windows.fewest_patches >= 1
    patches = torch.arange(1, height * width + 1)[None, :, None]
    split = split_map(patches, windows)
    assert split.shape == (1, windows.num_windows, windows.window_height * windows.window_width, 1)
    assert torch.equal(split[split > 0].sort().values, patches.flatten())
    assert torch.equal(join_map(split, windows), patches)
    sizes = token_sizes(split, windows)
    if sizes is None:
        assert (split > 0).all()
    else:
        assert torch.equal(sizes == 1, split.squeeze(3) > 0)
        assert int(sizes.sum(-1).min()) == windows.fewest_patches


def test_little_is_padded() -> None:
    assert Windows.cut(14, 14, 8) == Windows(14, 14, 2, 2, 7, 7)
    assert Windows.cut(33, 8, 8).window_height == 7
    assert Windows.cut(5, 64, None) == Windows(5, 64, 1, 1, 5, 64)


def reference(model: FastITPN, x: Tensor, grid: tuple[int, int], gathering: Gathering) -> Tensor:
    """The definition, window by window without padding: x [N, D]."""
    windows = Windows.cut(*grid, gathering.window)
    index = split_map(torch.arange(1, len(x) + 1)[None, :, None], windows)[0, ..., 0] - 1
    blocks = model.stages[2].blocks
    x = x.clone()
    for windowed, first, last in gathering.runs(len(blocks)):
        born = []
        for patches in index:
            n, G = len(patches), gathering.tokens_per_window
            for k in range(G):
                share = patches[k * n // G : (k + 1) * n // G]
                share = share[share >= 0] if (share >= 0).any() else patches[patches >= 0]
                born.append(x[share].mean(0))
        for block in blocks[first:last]:
            if not windowed:
                x = block(x[None])[0]
                continue
            gathered = list(born)
            for number, patches in enumerate(index):
                own = slice(number * gathering.tokens_per_window, (number + 1) * gathering.tokens_per_window)
                patches = patches[patches >= 0]
                inside = torch.cat((torch.stack([*born[own], *x[patches]]),))[None]
                inside = inside + block.gamma_1 * block.attn(block.norm1(inside))
                gathered[own] = inside[0, : gathering.tokens_per_window]
                x[patches] = inside[0, gathering.tokens_per_window :]
            if gathered:
                among = torch.stack(gathered)[None]
                among = among + block.gamma_1 * block.attn(block.norm1(among))
                among = among + block.gamma_2 * block.mlp(block.norm2(among))
                born = list(among[0])
            x = x + block.gamma_2 * block.mlp(block.norm2(x))
    return x


@few
@given(
    st.tuples(st.integers(3, 9), st.integers(3, 9)),
    st.builds(
        Gathering, window=st.integers(2, 5), tokens_per_window=st.integers(0, 4), global_blocks=st.integers(0, 3)
    ),
)
@torch.no_grad()
def test_windowed_blocks_are_what_they_say(grid: tuple[int, int], gathering: Gathering) -> None:
    torch.manual_seed(0)
    model = small()
    for block in model.stages[2].blocks:
        block.gamma_1.fill_(1.0)
        block.gamma_2.fill_(1.0)
        block.attn.qkv.weight.mul_(5)
    x = torch.randn(1, math.prod(grid), 64)
    windows = Windows.cut(*grid, gathering.window)
    y = attend_accelerated(model.stages[2].blocks, x, *grid, Acceleration(gathering=gathering))
    if windows.num_windows == 1:
        expected = x
        for block in model.stages[2].blocks:
            expected = block(expected)
    elif gathering.tokens_per_window > windows.window_height * windows.window_width:
        return  # fewer are born
    else:
        expected = reference(model, x[0], grid, gathering)[None]
    torch.testing.assert_close(y, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("size", [(80, 112), (64, 64), (112, 16)])
@pytest.mark.parametrize("tokens_per_window", [0, 1])
def test_a_window_over_the_whole_map_is_global_attention(size: tuple[int, int], tokens_per_window: int) -> None:
    model, x = small(), torch.randn(2, 3, *size)
    expected = model(x)
    model.set_acceleration(gathering=Gathering(window=7, tokens_per_window=tokens_per_window, global_blocks=0))
    torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_all_blocks_global_is_the_plain_model(path: str) -> None:
    model, x = small(), torch.randn(2, 3, 80, 112)
    expected = model(x)
    model.set_acceleration(gathering=Gathering(window=3, global_blocks=3))
    torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("tokens_per_window", "blocks"), [(0, 3), (1, 2)])
def test_news_passes_between_windows_by_their_tokens_alone(tokens_per_window: int, blocks: int) -> None:
    model, x = small(depths=(1, 1, blocks), img_size=64), torch.randn(1, 3, 64, 64)
    changed = x.clone()
    changed[..., :16, :16] += 1
    gathering = Gathering(window=2, tokens_per_window=tokens_per_window, global_blocks=0)
    model.set_acceleration(gathering=gathering)
    differs = (model.forward_features(changed) != model.forward_features(x)).any(-1)[0]
    assert differs[:2, :2].all()
    assert differs.all() == (tokens_per_window > 0)  # told among the tokens in a block, heard in the next
    assert differs[2:, 2:].any() == (tokens_per_window > 0)


@few
@given(st.integers(1, 9), st.integers(1, 4), st.lists(st.integers(0, 1), min_size=9, max_size=9))
def test_gathering_tokens_are_means_of_their_share(n: int, count: int, present: list[int]) -> None:
    x = torch.randn(1, 1, n, 2)
    sizes = torch.tensor([1, *present[1:]])[:n].float()
    born = gathering_tokens(x, sizes[None, None], count)[0, 0]
    assert len(born) == min(n, count)
    for k, token in enumerate(born):
        share = slice(k * n // len(born), (k + 1) * n // len(born))
        where = sizes[share] > 0
        expected = x[0, 0, share][where] if where.any() else x[0, 0][sizes > 0]
        torch.testing.assert_close(token, expected.mean(0))


def test_a_token_counts_for_as_many_as_it_stands_for() -> None:
    x = torch.randn(2, 8)
    sizes = torch.tensor([[[3.0, 1.0]]])
    torch.testing.assert_close(mean_token(x, sizes[0, 0])[0], torch.stack([x[0], x[0], x[0], x[1]]).mean(0))
    mask = attention_mask(sizes, 1, 1, torch.float32)
    query = torch.randn(1, 1, 1, 8)
    keys = torch.cat((query[0, 0], x))[None, None]
    repeated = keys[:, :, [0, 1, 1, 1, 2]]
    torch.testing.assert_close(
        F.scaled_dot_product_attention(query, keys, keys, attn_mask=mask),
        F.scaled_dot_product_attention(query, repeated, repeated),
    )


@torch.no_grad()
def test_drop_path_leaves_out_whole_images_not_windows() -> None:
    model = small(drop_path_rate=0.5)
    block = model.stages[2].blocks[-1].train()
    block.gamma_1.fill_(1.0)
    x = torch.randn(16, 6, 5, 64)
    kept = (block(x, None, 1) != x).flatten(2).any(-1)
    assert (kept == kept[:, :1]).all()
    assert kept.any()
    assert not kept.all()


@torch.no_grad()
def test_trace_shows_the_windows_and_their_attention() -> None:
    model, x = small(), torch.randn(2, 3, 80, 112)
    model.set_acceleration(gathering=Gathering(window=4, tokens_per_window=2, global_blocks=1))
    for block in model.stages[2].blocks:  # attention becomes even
        block.attn.qkv.weight.zero_()
        block.attn.q_bias.zero_()
    trace = model.trace_tokens(x)
    assert trace.grid == (5, 7)
    assert trace.windows == (2, 2)
    assert trace.window.view(5, 7)[[0, 2, 3, 4]][:, [0, 3, 4, 6]].tolist() == [[0, 0, 1, 1]] * 2 + [[2, 2, 3, 3]] * 2
    assert not trace.left.any()
    counts = torch.bincount(trace.window)
    expected = F.one_hot(trace.window).T / (counts[:, None] + 2)
    torch.testing.assert_close(trace.gathered, expected.expand(2, -1, -1))


@pytest.mark.parametrize(
    ("fields", "key", "expected"),
    [
        ({"window": 0}, "window=0", "a whole number, 1 or more"),
        ({"window": 2.5}, "window=2.5", "a whole number, 1 or more"),
        ({"tokens_per_window": 5}, "tokens_per_window=5", r"0 to 4 \(per window\)"),
        ({"tokens_per_window": -1}, "tokens_per_window=-1", "a whole number, 0 or more"),
        ({"window": 1, "tokens_per_window": 2}, "tokens_per_window=2", "0 to 1"),
        ({"global_blocks": -1}, "global_blocks=-1", "a whole number, 0 or more"),
        ({"global_blocks": True}, "global_blocks=True", "a whole number, 0 or more"),
    ],
)
def test_bad_values_are_refused_by_name_and_range(fields: dict[str, Any], key: str, expected: str) -> None:
    where = f"gathering.{key.split('=')[0]}"
    with pytest.raises(InputError, match=rf"{key} .*\n.*where: *{where}\n.*expected: *{expected}"):
        Gathering(**fields)


@pytest.mark.parametrize(
    ("fields", "key", "expected"),
    [
        ({"window": 8, "global_blocks": 0}, "window=8", r"1 to 7 \(the map has 5x7 patches\)"),
        ({"window": 3, "global_blocks": 4}, "global_blocks=4", r"0 to 3 \(the blocks of stage 3\)"),
        ({"window": 2, "tokens_per_window": 3, "global_blocks": 0}, "tokens_per_window=3", "0 to 2"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(fields: dict[str, Any], key: str, expected: str) -> None:
    size = (16, 112) if "tokens_per_window" in fields else (80, 112)
    with pytest.raises(InputError, match=rf"(?s){key} .*expected: *{expected}"):
        small(img_size=size, gathering=Gathering(**fields))


@pytest.mark.parametrize(
    ("depth", "count", "expected"), [(12, 4, [2, 5, 8, 11]), (6, 4, [0, 2, 3, 5]), (5, 0, []), (3, 3, [0, 1, 2])]
)
def test_global_blocks_are_evenly_spaced(depth: int, count: int, expected: list[int]) -> None:
    runs = Gathering(global_blocks=count).runs(depth)
    assert [number for windowed, first, last in runs for number in range(first, last) if not windowed] == expected
    assert [first for _, first, _ in runs] == [0, *(last for _, _, last in runs[:-1])]
    assert runs[-1][2] == depth
