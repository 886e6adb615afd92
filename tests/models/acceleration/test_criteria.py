"""Criteria of token migration: that which looks at attention, in windows and with a class token."""

import pytest
import torch
from published import small_model
from torch import Tensor

from fastitpn import Acceleration, Gathering, Migration

LAST = 2
"""The block before the step."""


@pytest.mark.parametrize(
    ("arguments", "gathering"),
    [
        ({}, None),
        ({"class_token": True}, None),
        ({}, Gathering(window=3, global_blocks=0)),
        ({}, Gathering(window=4, global_blocks=0, tokens_per_window=2)),
    ],
    ids=["plain", "class token", "windows", "windows with padding"],
)
def test_the_least_attended_leave(arguments, gathering):
    torch.manual_seed(0)
    model = small_model(img_size=96, depths=(1, 1, 4), **arguments)
    block = model.stages[2].blocks[LAST - 1]
    given: list[tuple[Tensor, ...]] = []
    block.register_forward_pre_hook(lambda module, inputs: given.append(inputs))
    migration = Migration(metric="attention", keep_ratio=0.5, after_blocks=(LAST,))
    model.set_acceleration(Acceleration(migration=migration, gathering=gathering))
    with torch.no_grad():
        trace = model.trace_tokens(torch.randn(2, 3, 96, 96))
        x, mask, num_gathering = given[-1]
        q, k, _ = block.attn.project(block.norm1(x.flatten(0, 1)))
        logits = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        weights = (logits if mask is None else logits + mask).softmax(-1).mean(1)  # [B * G, T, T]
    front = num_gathering + ("class_token" in arguments)
    got = weights[:, 0, front:] if "class_token" in arguments else weights.mean(1)[:, front:]
    got = got.unflatten(0, x.shape[:2])  # [B, G, n]
    windows, left = trace.window, trace.left > 0
    for image in range(2):
        for window in range(got.shape[1]):
            patches = (windows == window).nonzero().flatten()
            values = got[image, window]
            values = values[values > 0] if len(values) > len(patches) else values  # padding gets none
            count = int(left[image, patches].sum())
            expected = patches[values.argsort()[:count]]
            assert count > 0
            assert set(patches[left[image, patches]].tolist()) == set(expected.tolist())
