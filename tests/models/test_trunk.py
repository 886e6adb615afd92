"""Sizes of input, and what happens in training only."""

import copy

import pytest
import torch
from published import nano, randn, small_model
from torch import nn

from fastitpn.errors import InputError


@torch.no_grad()
@pytest.mark.parametrize(("height", "width"), [(16, 16), (48, 80), (64, 64), (256, 32)])
def test_any_multiple_of_16_equals_a_model_built_for_it(height: int, width: int, path: str) -> None:
    model, x = small_model(pyramid=True), torch.randn(2, 3, height, width)
    native = copy.deepcopy(model)
    native.set_input_size((height, width))
    assert native.pos_embed.shape == (1, height // 16 * (width // 16), 64)
    torch.testing.assert_close(model(x), native(x))
    assert model.forward_features(x).shape == (2, height // 16, width // 16, 64)
    for ours, theirs, stride in zip(
        model.pyramid_features(x), native.pyramid_features(x), (4, 8, 16, 32, 64), strict=True
    ):
        torch.testing.assert_close(ours, theirs)
        assert ours.shape == (2, 256, -(-height // stride), -(-width // stride))


@pytest.mark.parametrize(("size", "padded"), [((60, 64), "64x64"), ((1, 33), "16x48"), ((64, 72), "64x80")])
def test_another_size_raises_and_names_the_one_to_pad_to(size: tuple[int, int], padded: str) -> None:
    model = small_model(pyramid=True)
    for call in (model, model.forward_features, model.pyramid_features, model.forward_intermediates):
        with pytest.raises(InputError, match=rf"{size[0]}x{size[1]} px.*multiples of 16; pad or resize it to {padded}"):
            call(torch.zeros(1, 3, *size))
    with pytest.raises(InputError, match=f"to {padded}"):
        small_model(img_size=size)
    with pytest.raises(InputError, match=f"to {padded}"):
        model.set_input_size(size)


@torch.no_grad()
def test_images_do_not_mix_in_a_batch(path: str) -> None:
    model, x = small_model(), torch.randn(3, 3, 64, 96)
    torch.testing.assert_close(model(x), torch.cat([model(image[None]) for image in x]))


@torch.no_grad()
@pytest.mark.parametrize("in_chans", [1, 6])
def test_any_number_of_channels(in_chans: int) -> None:
    model = small_model(in_chans=in_chans)
    assert model.in_chans == in_chans
    x = torch.randn(1, in_chans, 64, 64)
    assert not torch.equal(model(x), model(x.flip(1).contiguous() * torch.arange(2.0, 2 + in_chans)[:, None, None]))


def test_relative_positions_need_a_class_token_and_their_own_size() -> None:
    with pytest.raises(InputError, match=r"fix:.*class_token=True"):
        small_model(relative_position="own")
    with pytest.raises(InputError, match="own, shared, shared_decoupled"):
        small_model(relative_position="share", class_token=True)
    for kind in ("own", "shared"):
        model = small_model(relative_position=kind, class_token=True)
        with pytest.raises(InputError, match=r"expected:.*64x64 px\n.*fix:.*img_size=\(96, 64\)"):
            model.set_input_size((96, 64))


@pytest.mark.parametrize("argument", ["global_pool", "position_resize"])
def test_wrong_words_are_refused(argument: str) -> None:
    with pytest.raises(InputError, match=f"{argument}='max'.*\n.*expected:"):
        small_model(**{argument: "max"})
    with pytest.raises(InputError, match="output_fmt='NLC'"):
        small_model().forward_intermediates(torch.zeros(1, 3, 64, 64), output_fmt="NLC")
    with pytest.raises(InputError, match="global_pool='token'"):
        small_model().reset_classifier(10, "token")


def test_drop_path_rises_over_all_blocks_and_leaves_the_pyramid_alone() -> None:
    model = nano(drop_path_rate=0.35, pyramid=True)
    blocks = [block for stage in model.stages for block in stage.blocks]
    rates = [getattr(block.drop_path, "drop_prob", 0.0) for block in blocks]
    assert rates == pytest.approx([0.35 * i / 7 for i in range(8)])
    assert isinstance(blocks[0].drop_path, nn.Identity)
    assert not any(getattr(module, "drop_prob", 0.0) for module in model.pyramid.modules())


def test_drop_path_leaves_out_whole_samples() -> None:
    model = small_model(drop_path_rate=0.999, stop_grad_patch_embed=True).train()
    block = model.stages[2].blocks[-1]
    x = torch.randn(4, 16, 64)
    with torch.no_grad():
        y = block(x)
    assert torch.equal(y, x)
    assert not torch.equal(block.eval()(x), x)


def test_dropout_acts_in_stage_3_and_before_the_head() -> None:
    model = small_model(proj_drop_rate=0.5, drop_rate=0.5)
    x = torch.randn(2, 3, 64, 64)
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))
    torch.testing.assert_close(model.encode(x)[1], model.eval().encode(x)[1])
    rates = {name: module.p for name, module in model.named_modules() if isinstance(module, nn.Dropout) and module.p}
    assert "head_drop" in rates
    assert all(name.startswith(("stages.2.", "head_drop")) for name in rates)


@pytest.mark.parametrize("pyramid", [False, True])
def test_gradient_checkpointing_gives_the_same_gradients(pyramid: bool) -> None:
    gradients = []
    for checkpointed in (False, True):
        model = nano(pyramid=pyramid, num_classes=5).train()
        model.set_grad_checkpointing(checkpointed)
        outputs = model.pyramid_features(randn(2, 3, 64, 64)) if pyramid else [model(randn(2, 3, 64, 64))]
        sum(output.square().mean() for output in outputs).backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient)


def test_checkpointing_recomputes() -> None:
    model = small_model().train()
    calls: list[str] = []
    model.stages[0].blocks[0].mlp.register_forward_pre_hook(lambda *_: calls.append("cell"))
    model.stages[2].blocks[0].register_forward_pre_hook(lambda *_: calls.append("attention"))
    model.set_grad_checkpointing()
    model(torch.randn(1, 3, 64, 64)).sum().backward()
    assert sorted(calls) == ["attention", "attention", "cell", "cell"]


@torch.no_grad()
@pytest.mark.parametrize("class_token", [False, True])
def test_the_two_halves_of_the_trunk_are_the_trunk(class_token: bool, path: str) -> None:
    model, x = small_model(class_token=class_token), torch.randn(2, 3, 64, 96)
    tokens = model.embed_tokens(x)
    assert tokens.shape == (2, 24, 64)
    if class_token:
        first = (model.cls_token + model.pos_embed[:, :1]).expand(2, -1, -1)
        tokens = torch.cat((first, tokens), dim=1)
    assert torch.equal(model.attend_tokens(tokens), model.encode(x)[2])


@torch.no_grad()
def test_tokens_of_several_images_attend_to_one_another() -> None:
    model, one, other = small_model(), torch.randn(1, 3, 32, 32), torch.randn(1, 3, 64, 48)
    parts = [model.embed_tokens(one), model.embed_tokens(other)]
    joined = model.attend_tokens(torch.cat(parts, dim=1))
    assert joined.shape == (1, 4 + 12, 64)
    assert not torch.allclose(joined[:, :4], model.attend_tokens(parts[0]))
    turned = model.attend_tokens(torch.cat(parts[::-1], dim=1))  # positions are in the tokens: their order is nothing
    torch.testing.assert_close(turned, torch.cat((joined[:, 4:], joined[:, :4]), dim=1))


def test_a_joined_sequence_has_no_grid() -> None:
    tokens = torch.zeros(1, 20, 64)
    model = small_model()
    model.set_acceleration("fast")
    with pytest.raises(InputError, match=r"no grid.*\n.*plain model.*\n.*set_acceleration\('off'\)"):
        model.attend_tokens(tokens)
    with pytest.raises(InputError, match="no grid"):
        small_model(relative_position="own", class_token=True).attend_tokens(tokens)
    with pytest.raises(InputError, match="to 64x64"):
        model.embed_tokens(torch.zeros(1, 3, 60, 64))
