"""To which patches a token attends: what the attention itself computes, with and without acceleration."""

import pytest
import torch

import fastitpn
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration

TOKEN = 2 * 6 + 3
"""Row 2, column 3 of 6 x 6."""


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    return torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = fastitpn.create_model("fastitpn_nano", img_size=96, num_classes=2).eval()
    with torch.no_grad():
        for block in model.stages[2].blocks:  # small start values make all attention the same
            block.attn.qkv.weight.mul_(8)
    return model


def test_the_shares_are_what_the_attention_weighs_its_values_with(model, image):
    attention = model.stages[2].blocks[1].attn
    seen = {}
    hooks = [
        attention.register_forward_pre_hook(lambda module, inputs: seen.update(x=inputs[0])),
        attention.proj.register_forward_pre_hook(lambda module, inputs: seen.update(mixed=inputs[0])),
    ]
    trace = model.trace_attention(image, TOKEN, [2])
    for hook in hooks:
        hook.remove()
    assert (trace.grid, trace.token, trace.left_after) == ((6, 6), TOKEN, None)
    shares = trace.shares[2]
    torch.testing.assert_close(shares.sum(1), torch.ones(attention.num_heads))
    assert shares.std() > 1e-3
    _, _, values = attention.project(seen["x"])
    mixed = torch.einsum("hn,hnd->hd", shares, values[0]).flatten()
    torch.testing.assert_close(mixed, seen["mixed"][0, TOKEN], atol=1e-5, rtol=1e-4)


def test_looking_changes_nothing(model, image):
    with torch.no_grad():
        before = model(image)
        model.trace_attention(image, TOKEN, [1, 2])
        assert torch.equal(model(image), before)


def test_only_the_blocks_that_are_asked_for(model, image):
    assert set(model.trace_attention(image, 0, [1, 3]).shares) == {1, 3}


def test_windows_and_what_goes_to_gathering_tokens(model, image):
    model.set_acceleration(gathering=Gathering(window=3, global_blocks=1))
    depth = model.num_attention_blocks
    trace = model.trace_attention(image, TOKEN, [1, depth])
    windowed = trace.shares[1].mean(0).reshape(6, 6)
    assert (windowed[:3, 3:] > 0).all()
    assert windowed[3:].sum() == windowed[:, :3].sum() == 0
    assert 0.5 < windowed.sum() < 0.99  # the rest is the gathering token's
    last = trace.shares[depth].mean(0)  # global
    assert (last > 0).all()
    torch.testing.assert_close(last.sum(), torch.tensor(1.0))


def test_without_gathering_tokens_all_stays_in_the_window(model, image):
    model.set_acceleration(gathering=Gathering(window=4, tokens_per_window=0, global_blocks=0))
    shares = model.trace_attention(image, 0, [2]).shares[2]
    torch.testing.assert_close(shares.sum(1), torch.ones(len(shares)))
    assert shares.mean(0).reshape(6, 6)[3:].sum() == 0


def test_tokens_that_left_neither_look_nor_are_looked_at(model, image):
    model.set_acceleration(migration=Migration(keep_ratio=0.5, after_blocks=(1,)))
    left = model.trace_tokens(image).left[0]
    gone, stayed = int(left.argmax()), int(left.argmin())
    trace = model.trace_attention(image, gone, [1, 2])
    assert (set(trace.shares), trace.left_after) == ({1}, 1)
    shares = model.trace_attention(image, stayed, [1, 2]).shares
    assert (shares[1].mean(0) > 0).all()
    assert ((shares[2].mean(0) > 0) == (left == 0)).all()
    torch.testing.assert_close(shares[2].sum(1), torch.ones(len(shares[2])))


@pytest.mark.parametrize("kind", ["own", "shared", "shared_decoupled"])
def test_relative_positions_and_a_class_token(image, kind):
    torch.manual_seed(0)
    model = fastitpn.create_model(
        "fastitpn_nano", img_size=96, num_classes=2, class_token=True, relative_position=kind
    ).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "rel_pos_bias" in name:
                parameter.normal_(std=2)
    attention = model.stages[2].blocks[0].attn
    seen = {}
    hooks = [
        attention.register_forward_pre_hook(lambda module, inputs: seen.update(x=inputs[0])),
        attention.proj.register_forward_pre_hook(lambda module, inputs: seen.update(mixed=inputs[0])),
    ]
    shares = model.trace_attention(image, TOKEN, [1]).shares[1]
    for hook in hooks:
        hook.remove()
    _, _, values = attention.project(seen["x"])
    mixed = torch.einsum("hn,hnd->hd", shares, values[0, :, 1:]) + (1 - shares.sum(1))[:, None] * values[0, :, 0]
    torch.testing.assert_close(mixed.flatten(), seen["mixed"][0, TOKEN + 1], atol=1e-5, rtol=1e-4)
