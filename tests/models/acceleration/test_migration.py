"""Token migration: who leaves, what comes back, and where."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from published import small_model
from torch import Tensor, nn

from fastitpn import Gathering, InputError, Migration
from fastitpn.models.acceleration.attention import attend_accelerated
from fastitpn.models.acceleration.criteria.bipartite import spread_destinations
from fastitpn.models.acceleration.criteria.mean import mean_scores
from fastitpn.models.acceleration.gathering import Windows
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.models.acceleration.steps import leave, num_stay, put_back
from fastitpn.models.acceleration.token_trace import TokenTrace, patches_before, token_trace
from fastitpn.models.backbone import FastITPN
from fastitpn.models.taps import Features, Taps

DEPTH = 6
few = settings(max_examples=25, deadline=None, derandomize=True, database=None)
grids = st.tuples(st.integers(1, 9), st.integers(1, 9))
seeds = st.integers(0, 2**16)
migrations = st.builds(
    lambda steps, ratios, metric, weighted: Migration(
        after_blocks=tuple(sorted(steps)), keep_ratio=tuple(ratios[: len(steps)]), metric=metric, weighted=weighted
    ),
    st.sets(st.integers(1, DEPTH - 1), min_size=1, max_size=3),
    st.lists(st.floats(0.05, 1), min_size=3, max_size=3),
    st.sampled_from(("bipartite", "mean", "random")),
    st.booleans(),
)
gatherings = st.none() | st.builds(
    Gathering, window=st.integers(2, 6), tokens_per_window=st.integers(0, 3), global_blocks=st.integers(0, DEPTH)
)


class Growth(nn.Module):
    """Stands for a block: every token grows by a factor, so its value tells how many blocks it saw."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor, mask: Tensor | None, num_gathering: int) -> Tensor:
        return x * self.factor


def check_sizes(features: Features) -> None:
    """The sizes of tokens must always add up to the patches of their window."""
    counts = (patches_before(features, 1) >= 0).sum(-1).float()
    for after_blocks, step in features.steps.items():
        patch = patches_before(features, after_blocks + 1)
        if step.match is not None and step.sizes is not None and step.sizes.max() > 1:
            assert torch.equal(step.sizes.sum(-1), counts)
        elif step.sizes is not None:
            assert torch.equal(step.sizes > 0, patch >= 0)
        else:
            assert (patch >= 0).all()


def grow(x: Tensor, grid: tuple[int, int], factor: float, **acceleration: Any) -> tuple[Tensor, TokenTrace]:
    """`x` [B, (1 +) N, D] through DEPTH blocks of growth, and what became of each token."""
    migration = acceleration.get("migration")
    features = Features(Taps(), stages=[x])
    blocks = nn.ModuleList(Growth(factor) for _ in range(DEPTH))
    num_prefix = x.shape[1] - math.prod(grid)
    whole = Acceleration(**acceleration)
    y = attend_accelerated(blocks, x, *grid, whole, num_prefix=num_prefix, features=features)
    check_sizes(features)
    return y, token_trace(features, blocks, () if migration is None else tuple(migration.steps(DEPTH)))


def tokens(batch: int, grid: tuple[int, int], seed: int, prefix: int = 0) -> Tensor:
    """[B, P + N, 3], exact in float32 however often it is doubled."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-99, 100, (batch, prefix + math.prod(grid), 3), generator=generator) + 0.5


def expected_values(x: Tensor, trace: TokenTrace, replenish: str, *, matched: bool) -> Tensor:
    """The definition, token by token: [B, N, D] before doubling in every block."""
    blocks = (0, *trace.steps)

    def final(b: int, i: int) -> Tensor:
        """What the token i ends as."""
        step = int(trace.left[b, i])
        if step == 0:
            return x[b, i] * 2**DEPTH
        held = x[b, i] * 2 ** blocks[step]
        stayed = ((trace.left[b] == 0) | (trace.left[b] > step)) & (trace.window == trace.window[i])
        if replenish == "mean":
            return torch.stack([final(b, int(j)) for j in stayed.nonzero()]).mean(0)
        if replenish == "hold":
            return held
        sources = [int(trace.match[b, i])] if matched else [int(j) for j in stayed.nonzero()]
        return held + torch.stack([final(b, j) - x[b, j] * 2 ** blocks[step] for j in sources]).mean(0)

    return torch.stack([torch.stack([final(b, i) for i in range(x.shape[1])]) for b in range(len(x))])


@few
@given(grids, gatherings, migrations, seeds)
def test_every_token_comes_back_once_at_its_own_place(
    grid: tuple[int, int], gathering: Gathering | None, migration: Migration, seed: int
) -> None:
    x = tokens(2, grid, seed)
    y, trace = grow(x, grid, 1.0, migration=migration, gathering=gathering)
    assert torch.equal(y, x)
    in_window = torch.bincount(trace.window)
    windows = Windows.cut(*grid, gathering.window if gathering else None)
    stay = windows.window_height * windows.window_width
    for step, ratio in enumerate(migration.keep_ratio, start=1):
        stay = num_stay(stay, ratio)
        for left in trace.left:  # the same number in every window, but where padding is what left
            present = (left == 0) | (left > step)
            assert torch.equal(torch.bincount(trace.window[present]), in_window.clamp(max=stay))


@few
@given(grids, gatherings, migrations, seeds, st.integers(0, 1))
def test_hold_keeps_the_value_from_the_step_on(
    grid: tuple[int, int], gathering: Gathering | None, migration: Migration, seed: int, prefix: int
) -> None:
    if prefix:  # a class token: it sees every block
        gathering = None
    x = tokens(2, grid, seed, prefix)
    y, trace = grow(x, grid, 2.0, migration=migration, gathering=gathering)
    seen = torch.tensor([DEPTH, *trace.steps])[trace.left]
    assert torch.equal(y[:, prefix:], x[:, prefix:] * 2 ** seen[..., None])
    assert torch.equal(y[:, :prefix], x[:, :prefix] * 2**DEPTH)


@few
@given(grids, gatherings, migrations, seeds, st.sampled_from(("residual", "mean")))
def test_residual_and_mean_are_what_they_say(
    grid: tuple[int, int], gathering: Gathering | None, migration: Migration, seed: int, replenish: str
) -> None:
    migration = Migration(
        **{name: getattr(migration, name) for name in ("keep_ratio", "after_blocks", "metric", "weighted")},
        replenish=replenish,
    )
    x = tokens(1, grid, seed)
    y, trace = grow(x, grid, 2.0, migration=migration, gathering=gathering)
    expected = expected_values(x, trace, replenish, matched=migration.metric == "bipartite")
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-2)


@few
@given(grids, gatherings, migrations, seeds)
def test_matches_stayed_at_that_step_in_the_same_window(
    grid: tuple[int, int], gathering: Gathering | None, migration: Migration, seed: int
) -> None:
    _, trace = grow(tokens(2, grid, seed), grid, 1.0, migration=migration, gathering=gathering)
    for b, i in (trace.left > 0).nonzero().tolist():
        j = int(trace.match[b, i])
        assert (j >= 0) == (migration.metric == "bipartite")
        if j >= 0:
            assert trace.left[b, j] == 0 or trace.left[b, j] > trace.left[b, i]
            assert trace.window[i] == trace.window[j]
    assert (trace.match[trace.left == 0] == -1).all()


@few
@given(st.integers(1, 300), st.floats(0.01, 0.99), st.none() | st.integers(1, 20))
def test_destinations_are_spread_and_never_too_many(n: int, keep_ratio: float, width: int | None) -> None:
    stay = num_stay(n, keep_ratio)
    places = spread_destinations(n, stay, keep_ratio, width)
    assert places[0] == 0
    assert 1 <= len(places) <= stay
    assert (places.diff() > 0).all()
    assert places[-1] < n


def test_destinations_stand_on_a_checkerboard_rather_than_in_columns() -> None:
    board = torch.zeros(64, dtype=torch.bool)
    board[spread_destinations(64, 60, 0.9, 8)] = True
    assert board.view(8, 8).sum(0).tolist() == [4] * 8
    board = torch.zeros(64, dtype=torch.bool)
    board[spread_destinations(64, 32, 0.5, 8)] = True
    assert board.view(8, 8).sum(0).tolist() == [4, 0] * 4
    assert torch.equal(spread_destinations(64, 32, 0.5, None), torch.arange(0, 64, 4))


def step_of(x: Tensor, migration: Migration, sizes: Tensor | None = None) -> Any:
    """One step on x [n, D], laid out as one row."""
    windows = Windows.cut(1, len(x), None)
    return leave(x[None, None], sizes, migration, migration.keep_ratio, windows, complete=True)


def test_the_most_redundant_tokens_leave() -> None:
    x = torch.eye(8)
    x[5], x[6] = x[0] * 3 + x[1] * 0.1, x[4]  # near to the destinations 0 and 4
    step = step_of(x, Migration(keep_ratio=0.7, metric="bipartite"))  # destinations 0, 3, 6
    assert step.order[0, 0].tolist() == [0, 1, 2, 3, 6, 7, 4, 5]
    assert step.match[0, 0].tolist() == [4, 0]
    assert step.sizes[0, 0].tolist() == [2, 1, 1, 1, 2, 1]
    x = torch.randn(8, 4) * 0.1
    x[3] += 1
    x[:3] += torch.tensor([1.0, 0, 0, 0])
    scores = mean_scores(x[None, None], None)[0, 0]
    step = step_of(x, Migration(keep_ratio=0.5, metric="mean"))
    assert set(step.order[0, 0, 4:].tolist()) == set(scores.topk(4).indices.tolist())
    assert step.match is None


def test_random_choice_follows_the_global_generator() -> None:
    x, orders = torch.randn(64, 4), []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        orders.append(step_of(x, Migration(metric="random")).order)
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


def test_choice_is_made_in_float32_even_under_autocast() -> None:
    x = torch.randn(200, 64) * 0.01 + torch.randn(64)  # all alike to bfloat16
    migration = Migration(keep_ratio=0.3)
    expected = step_of(x, migration)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(step_of(x, migration).order, expected.order)
    assert step_of(x.bfloat16(), migration).stayed.dtype == torch.bfloat16


def test_nothing_is_backpropagated_through_the_choice() -> None:
    x = torch.randn(1, 1, 12, 4, requires_grad=True)
    for metric in ("bipartite", "mean"):
        step = leave(x, None, Migration(metric=metric), 0.5, Windows.cut(3, 4, None), complete=True)
        weights = torch.randn(1, 1, 12, 4)
        [gradient] = torch.autograd.grad((put_back(step, step.stayed, "hold") * weights).sum(), x)
        assert torch.equal(gradient, weights)


def small(**changes: Any) -> FastITPN:
    return small_model(**{"depths": (1, 1, 4), "img_size": (80, 112), **changes})


@torch.no_grad()
def test_tokens_that_left_hold_what_the_blocks_before_gave_them(path: str) -> None:
    model, x = small(), torch.randn(2, 3, 80, 112)
    outputs = []
    handles = [block.register_forward_hook(lambda *a: outputs.append(a[2])) for block in model.stages[2].blocks]
    model(x)
    for handle in handles:
        handle.remove()
    model.set_acceleration(migration=Migration(keep_ratio=0.5, after_blocks=(2,)))
    trace, tokens = model.trace_tokens(x), model.encode(x)[2]
    assert (trace.left > 0).sum(1).tolist() == [17, 17]
    assert torch.equal(tokens[trace.left > 0], outputs[1][trace.left > 0])
    assert not torch.isclose(tokens[trace.left == 0], outputs[-1][trace.left == 0]).all(-1).any()


@torch.no_grad()
@pytest.mark.parametrize("class_token", [False, True])
@pytest.mark.parametrize("gathering", [None, Gathering(window=3)])
def test_keeping_all_is_the_model_without_migration(class_token: bool, gathering: Gathering | None) -> None:
    if class_token and gathering:
        return
    model, x = small(class_token=class_token), torch.randn(2, 3, 80, 112)
    model.set_acceleration(gathering=gathering)
    expected = model(x)
    for replenish in ("hold", "residual", "mean"):
        migration = Migration(keep_ratio=(1, 1.0), after_blocks=(1, 0.5), replenish=replenish)
        model.set_acceleration(migration=migration, gathering=gathering)
        torch.testing.assert_close(model(x), expected, atol=1e-6, rtol=1e-6)


@torch.no_grad()
def test_mean_replenishment_makes_pooling_see_the_tokens_that_stayed_alone() -> None:
    model, x = small(), torch.randn(2, 3, 80, 112)
    model.set_acceleration(migration=Migration(replenish="mean", keep_ratio=0.4, after_blocks=(1, 3)))
    tokens, trace = model.encode(x)[2], model.trace_tokens(x)
    for image, left in zip(tokens, trace.left, strict=True):
        torch.testing.assert_close(image.mean(0), image[left == 0].mean(0))


@torch.no_grad()
def test_a_blank_picture_and_one_patch_go_through() -> None:
    model = small()
    model.set_acceleration(migration=Migration(keep_ratio=0.01, after_blocks=(1, 2), replenish="residual"))
    for x in (torch.zeros(1, 3, 80, 112), torch.randn(1, 3, 16, 16), torch.randn(1, 3, 16, 32)):
        assert model(x).isfinite().all()


@pytest.mark.parametrize(
    ("fields", "key", "expected"),
    [
        ({"keep_ratio": 0}, "keep_ratio=0", "above 0 and up to 1"),
        ({"keep_ratio": 1.5}, "keep_ratio=1.5", "above 0 and up to 1"),
        ({"keep_ratio": float("nan")}, "keep_ratio=nan", "above 0 and up to 1"),
        ({"keep_ratio": "half"}, "keep_ratio='half'", "above 0 and up to 1"),
        ({"keep_ratio": True}, "keep_ratio=True", "above 0 and up to 1"),
        ({"keep_ratio": (0.5, -1), "after_blocks": (1, 2)}, r"keep_ratio=\(0.5, -1\)", "above 0 and up to 1"),
        ({"keep_ratio": (0.5, 0.5)}, r"keep_ratio=\(0.5, 0.5\)", "one number, or 1: one for each step"),
        ({"after_blocks": ()}, r"after_blocks=\(\)", "at least one step"),
        ({"after_blocks": None}, "after_blocks=None", "at least one step"),
        ({"after_blocks": (0,)}, "after_blocks=0", "whole numbers of blocks from 1 on"),
        ({"after_blocks": (1.5,)}, "after_blocks=1.5", "fractions above 0 and below 1"),
        ({"after_blocks": (1, True)}, "after_blocks=True", "fractions above 0 and below 1"),
        ({"replenish": "none"}, "replenish='none'", "hold, residual, mean"),
        ({"metric": "cosine"}, "metric='cosine'", "bipartite, mean, attention, learned, random"),
        ({"last_blocks": -1}, "last_blocks=-1", "a whole number, 0 or more"),
        ({"weighted": 1}, "weighted=1", "true or false"),
    ],
)
def test_bad_values_are_refused_by_name_and_range(fields: dict[str, Any], key: str, expected: str) -> None:
    where = f"migration.{key.split('=')[0]}"
    with pytest.raises(InputError, match=rf"{key}.*\n.*where: *{where}\n.*expected:.*{expected}"):
        Migration(**fields)


@pytest.mark.parametrize(
    ("steps", "depth", "expected"),
    [
        ((4,), 4, r"1 to 3, or fractions \(stage 3 has 4 blocks"),
        ((1, 9), 4, "1 to 3"),
        ((0.9,), 4, "1 to 3"),
        ((2, 1), 4, r"steps that rise; here they are after blocks \[2, 1\]"),
        ((0.25, 0.3), 4, r"steps that rise; here they are after blocks \[1, 1\]"),
    ],
)
def test_steps_that_do_not_fit_the_depth_are_refused(steps: tuple, depth: int, expected: str) -> None:
    migration = Migration(after_blocks=steps)
    with pytest.raises(InputError, match=rf"after_blocks=.*\n.*migration\.after_blocks\n.*expected: *{expected}"):
        small_model(depths=(1, 1, depth), migration=migration)


def test_steps_and_shares() -> None:
    assert Migration().steps(12) == {3: 0.5}
    assert Migration(after_blocks=(0.01, 0.5, 11), keep_ratio=(0.9, 0.5, 1)).steps(12) == {1: 0.9, 6: 0.5, 11: 1}
    assert Migration(after_blocks=0.5, keep_ratio=0.3).steps(3) == {2: 0.3}
    listed = Migration(after_blocks=[1, 2], keep_ratio=[0.3, 0.4])  # type: ignore[arg-type]
    assert listed == Migration(after_blocks=(1, 2), keep_ratio=(0.3, 0.4))
    assert [num_stay(n, 0.7) for n in (1, 2, 10, 100)] == [1, 2, 7, 70]
    assert num_stay(5, 0.001) == 1
