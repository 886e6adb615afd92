"""Features from within stage 3: what comes out of `encode` with taps is what the blocks see."""

import pytest
import torch
from published import nano, randn, small_model

from fastitpn import Gathering, InputError, Migration
from fastitpn.models.taps import Features, Taps

DEPTH = 6
ALL = tuple(range(DEPTH + 1))


def encode(model, x: torch.Tensor, **taps) -> Features:
    return model.encode(x, taps=Taps(**taps))


@torch.no_grad()
@pytest.mark.parametrize("class_token", [False, True])
def test_tokens_after_a_block_are_what_the_blocks_give(class_token: bool, path: str) -> None:
    model, x = nano(class_token=class_token), randn(2, 3, 64, 96)
    features = encode(model, x, blocks=ALL)
    assert list(features.blocks) == list(ALL)
    for before, after, block in zip(ALL, ALL[1:], model.stages[2].blocks, strict=False):
        assert torch.equal(features.blocks[after], block(features.blocks[before]))
    for ours, theirs in zip(features.stages, model.encode(x), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(features.blocks[DEPTH], features.stages[2])


@torch.no_grad()
def test_only_what_is_asked_for_is_kept() -> None:
    features = encode(nano(), randn(1, 3, 64, 64), blocks=(2,), attention=(3, 5))
    assert (set(features.blocks), set(features.attention)) == ({2}, {3, 5})
    assert features.attention[3].tokens.shape == (1, 16, 192)
    assert (features.steps, features.windows.num_windows) == ({}, 1)


@torch.no_grad()
@pytest.mark.parametrize("replenish", ["hold", "residual"])
def test_an_accelerated_model_gives_complete_maps(replenish: str) -> None:
    model, x = nano(), randn(2, 3, 96, 112)
    migration = Migration(keep_ratio=0.5, after_blocks=(2, 4), replenish=replenish)
    model.set_acceleration(migration=migration, gathering=Gathering(window=4, global_blocks=2))
    features = encode(model, x, blocks=ALL, attention=(1, 3))
    assert torch.equal(features.stages[2], model.encode(x)[2])
    assert torch.equal(features.blocks[DEPTH], features.stages[2])
    assert {tokens.shape for tokens in features.blocks.values()} == {(2, 42, 192)}
    assert list(features.steps) == [2, 4]
    left = model.trace_tokens(x).left
    moved = (features.blocks[4] != features.blocks[3]).any(-1)
    assert torch.equal(moved, (left != 1) if replenish == "hold" else torch.ones_like(moved))
    assert features.attention[1].tokens.shape == (2, 4, 1 + 12, 192)
    assert features.attention[3].num_gathering == 0 or features.attention[3].tokens.shape[2] < 1 + 12


def test_gradients_pass_a_tap_with_and_without_checkpointing() -> None:
    gradients = []
    for checkpointed in (False, True):
        model = nano().train()
        model.set_grad_checkpointing(checkpointed)
        encode(model, randn(1, 3, 64, 64), blocks=(3,)).blocks[3].square().sum().backward()
        assert model.stages[2].blocks[3].gamma_1.grad is None
        gradients.append(model.stages[0].blocks[0].mlp.fc1.weight.grad)
    torch.testing.assert_close(*gradients)


def test_a_block_that_is_not_there_is_refused() -> None:
    model, x = small_model(), torch.zeros(1, 3, 64, 64)
    with pytest.raises(InputError, match=r"no block 3\n *where: *taps.blocks\n *expected: *0 to 2"):
        encode(model, x, blocks=(3,))
    with pytest.raises(InputError, match=r"taps.attention\n *expected: *1 to 2"):
        encode(model, x, attention=(0,))


@torch.no_grad()
def test_runs_of_blocks_are_all_blocks() -> None:
    model, x = nano(), randn(1, 3, 64, 64)
    features = encode(model, x, blocks=ALL)
    tokens = model.embed_tokens(x)
    assert torch.equal(tokens, features.blocks[0])
    halfway = model.attend_tokens(tokens, blocks=(1, 3))
    assert torch.equal(halfway, features.blocks[3])
    assert torch.equal(model.attend_tokens(halfway, blocks=(4, DEPTH)), model.attend_tokens(tokens))
    fewer = model.attend_tokens(halfway[:, ::2], blocks=(4, DEPTH))  # what candidate elimination of a tracker does
    assert fewer.shape == (1, 8, 192)
    for blocks in ((0, 3), (3, 2), (1, 7)):
        with pytest.raises(InputError, match=rf"blocks=\({blocks[0]}, {blocks[1]}\)\n *expected: .*blocks 1 to 6"):
            model.attend_tokens(tokens, blocks=blocks)
