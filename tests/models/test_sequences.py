"""The trunk in parts gives what the whole trunk gives, and wrong requests are refused."""

import pytest
import torch
from published import nano, randn, small_model

from fastitpn.errors import InputError
from fastitpn.models.layers.position import resize_position_table
from fastitpn.models.taps import Taps


@torch.no_grad()
@pytest.mark.parametrize("class_token", [False, True])
def test_positions_of_the_caller(class_token: bool) -> None:
    model, x = small_model(class_token=class_token), randn(2, 3, 32, 48)
    bare = model.embed_tokens(x, None)
    table = torch.randn(1, 6, 64)
    assert torch.equal(model.embed_tokens(x, table), bare + table)
    each = torch.randn(2, 6, 64)
    assert torch.equal(model.embed_tokens(x, each), bare + each)
    torch.testing.assert_close(model.embed_tokens(x), bare + model.position_table(2, 3))
    with pytest.raises(
        InputError, match=r"table of \[1, 5, 64\] for images of 2x3 patches\n.*positions\n.*\[1, 6, 64\]"
    ):
        model.embed_tokens(x, table[:, :5])


@pytest.mark.parametrize(
    ("form", "height", "width", "expected"),
    [
        ("crop", 2, 3, "corner"),
        ("crop", 4, 4, "same"),
        ("crop", 6, 6, "align_corners"),
        ("crop", 2, 6, "align_corners"),  # one side does not fit
        ("align_corners", 2, 2, "align_corners"),
        ("size", 6, 5, "size"),
        ("scale_factor", 6, 5, "scale_factor"),
    ],
)
def test_forms_of_position_tables(form: str, height: int, width: int, expected: str) -> None:
    model = small_model(class_token=True, position_resize=form)
    own = model.pos_embed[:, 1:]
    if expected == "corner":
        rows = own.view(1, 4, 4, 64)[:, :height, :width].flatten(1, 2)
    else:
        rows = own if expected == "same" else resize_position_table(own, 4, 4, height, width, expected)
    assert torch.equal(model.position_table(height, width), rows)


def test_gradients_reach_the_part_of_the_table_that_is_used() -> None:
    model = small_model()
    model.position_table(2, 2, "crop").sum().backward()
    grid = model.pos_embed.grad.view(4, 4, 64)
    assert (grid[:2, :2] == 1).all()
    assert grid.sum() == 4 * 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((2, 2, "index"), "form='index'\n.*size, scale_factor, align_corners, crop"), ((0, 2), "a grid of 0x2 patches")],
)
def test_tables_that_are_not_there(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        small_model().position_table(*arguments)
    pruned = small_model()
    pruned.prune_intermediate_layers([1])
    with pytest.raises(InputError, match="no position table"):
        pruned.position_table(2, 2)


@torch.no_grad()
def test_runs_of_blocks_with_taps() -> None:
    model, x = nano(), randn(1, 3, 64, 64)
    whole = model.encode(x, taps=Taps(blocks=range(7), attention=(5,)))
    tokens, features = model.attend_tokens(whole.blocks[2], (3, 5), taps=Taps(blocks=(2, 4, 5), attention=(5,)))
    assert torch.equal(tokens, whole.blocks[5])
    assert {number: torch.equal(t, whole.blocks[number]) for number, t in features.blocks.items()} == {
        2: True,
        4: True,
        5: True,
    }
    assert torch.equal(features.attention[5].tokens, whole.attention[5].tokens)
    for taps, place, expected in (
        (Taps(blocks=(1,)), "blocks", "2 to 5"),
        (Taps(attention=(2,)), "attention", "3 to 5"),
    ):
        with pytest.raises(InputError, match=rf"blocks 3 to 5 has no block \d\n.*taps.{place}\n.*{expected}"):
            model.attend_tokens(tokens, (3, 5), taps=taps)


@torch.no_grad()
def test_the_attention_matrix_is_the_one_that_the_block_applies() -> None:
    model, tokens = nano(), randn(2, 7, 192)
    layer = model.stages[2].blocks[3]
    matrix = model.attention_matrix(tokens, 4)
    assert matrix.shape == (2, 3, 7, 7)
    torch.testing.assert_close(matrix.sum(-1), torch.ones(2, 3, 7))
    normed = layer.norm1(tokens)
    v = layer.attn.project(normed)[2]
    torch.testing.assert_close(layer.attn.proj((matrix @ v).transpose(1, 2).flatten(2)), layer.attn(normed))
    with pytest.raises(InputError, match="no block 7"):
        model.attention_matrix(tokens, 7)
    model.set_acceleration("fast")
    with pytest.raises(InputError, match="no grid"):
        model.attention_matrix(tokens, 1)


@torch.no_grad()
def test_masks_and_added_logits() -> None:
    """Tokens that nobody may attend to are as if they were not there; a large diagonal shuts all others out."""
    model, tokens = nano(), randn(1, 7, 192)
    mask = torch.ones(7, 7, dtype=torch.bool)
    mask[:, 5:] = False
    masked = model.attend_tokens(tokens, mask=mask)
    torch.testing.assert_close(masked[:, :5], model.attend_tokens(tokens[:, :5]))
    assert (model.attention_matrix(tokens, 2, mask=mask)[..., 5:] == 0).all()
    alone = 100 * torch.eye(7)
    expected = torch.cat([model.attend_tokens(tokens[:, i : i + 1]) for i in range(7)], 1)
    torch.testing.assert_close(model.attend_tokens(tokens, mask=alone), expected)
    torch.testing.assert_close(model.attention_matrix(tokens, 2, mask=alone)[0, 0], torch.eye(7))


@torch.no_grad()
def test_the_final_norm() -> None:
    tokens = randn(1, 5, 64)
    after, before = small_model(), small_model(fc_norm=False)
    after.fc_norm.weight.fill_(2)
    before.norm.weight.fill_(3)
    torch.testing.assert_close(after.normalize_tokens(tokens), 2 * torch.layer_norm(tokens, (64,), eps=1e-6))
    torch.testing.assert_close(before.normalize_tokens(tokens), 3 * torch.layer_norm(tokens, (64,), eps=1e-6))
    with pytest.raises(InputError, match=r"no final norm\n(.*\n)*.*without global_pool=''"):
        small_model(global_pool="", num_classes=0).normalize_tokens(tokens)


@torch.no_grad()
@pytest.mark.parametrize("class_token", [False, True])
def test_maps_of_every_block(class_token: bool, path: str) -> None:
    """n1, merge, n2, merge, n3: at the ends of stages these are the stages' maps, between them each block's."""
    model, x = small_model(depths=(2, 1, 2), class_token=class_token), randn(2, 3, 32, 48)
    maps = model.block_maps(x, range(7))
    assert [tuple(m.shape) for m in maps] == [(2, 4 * s, 32 // s, 48 // s) for s in (4, 4, 8, 8, 16, 16, 16)]
    _, stages = model.forward_intermediates(x)
    for number, stage in ((1, stages[0]), (3, stages[1]), (6, stages[2])):
        torch.testing.assert_close(maps[number], stage)
    torch.testing.assert_close(maps[4].flatten(2).mT, model.embed_tokens(x, None))
    last, again, first = model.block_maps(x, (-1, 6, -7))
    assert torch.equal(last, again)
    torch.testing.assert_close(last, maps[6])
    torch.testing.assert_close(first, maps[0])


def test_maps_have_the_gradients_of_the_trunk() -> None:
    """With and without checkpointing, and with the patch embedding's smaller gradient."""
    gradients = []
    for checkpointed in (False, True):
        model = small_model(stop_grad_patch_embed=True, weight_init="skip").train()
        for number, parameter in enumerate(model.parameters()):
            parameter.data = randn(*parameter.shape, seed=number) / 8
        model.set_grad_checkpointing(checkpointed)
        model.block_maps(randn(1, 3, 32, 32), (0, 2, 5))[1].square().sum().backward()
        gradients.append(model.patch_embed.proj.weight.grad)
    torch.testing.assert_close(*gradients)
    model.zero_grad()
    model.encode(randn(1, 3, 32, 32))[1].square().sum().backward()
    torch.testing.assert_close(model.patch_embed.proj.weight.grad, gradients[0])


def test_blocks_that_are_not_there() -> None:
    with pytest.raises(InputError, match=r"no block 6\n.*blocks\n.*-6 to 5"):
        small_model().block_maps(torch.zeros(1, 3, 64, 64), (0, 6))
