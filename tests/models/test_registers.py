"""Registers: tokens of the trunk that attend with the patches and are dropped."""

import pytest
import torch
from torch import Tensor

import fastitpn
from fastitpn.errors import InputError
from fastitpn.models.taps import Taps
from fastitpn.models.weights.file import read_weights

IMAGES = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def nano(**keys):
    torch.manual_seed(0)
    return fastitpn.create_model("fastitpn_nano", img_size=64, num_classes=5, pyramid=True, **keys).eval()


@pytest.fixture(scope="module")
def model():
    return nano(num_registers=3)


@torch.no_grad()
def by_hand(model, images: Tensor) -> Tensor:
    """Stage 3 of patches and registers as one sequence."""
    sequence = torch.cat([model.registers.expand(len(images), -1, -1), model.embed_tokens(images)], 1)
    return model.attend_tokens(sequence)[:, 3:]


@torch.no_grad()
def test_they_attend_and_are_dropped(model) -> None:
    stages = model.encode(IMAGES)
    torch.testing.assert_close(stages[2], by_hand(model, IMAGES))
    assert stages[2].shape == (2, 24, 192)
    assert [tuple(level.shape[2:]) for level in model.pyramid_features(IMAGES)][:3] == [(16, 24), (8, 12), (4, 6)]
    assert model(IMAGES).shape == (2, 5)


@torch.no_grad()
def test_taps_and_traces_are_of_patches(model) -> None:
    features = model.encode(IMAGES, taps=Taps(blocks=(0, 2, 6)))
    assert {block: tuple(tokens.shape) for block, tokens in features.blocks.items()} == dict.fromkeys(
        (0, 2, 6), (2, 24, 192)
    )
    assert torch.equal(features.blocks[6], features.stages[2])
    shares = model.trace_attention(IMAGES[:1], 3, [1]).shares[1]
    assert shares.shape == (3, 24)
    assert torch.all(shares.sum(1) < 1)  # the registers have the rest


def test_without_them_nothing_is_different() -> None:
    assert nano(num_registers=0).state_dict().keys() == nano().state_dict().keys()
    assert not any("registers" in name for name in nano().state_dict())
    assert nano(num_registers=3).no_weight_decay() == {"pos_embed", "cls_token", "registers"}


def test_weights_say_how_many_there_are(model) -> None:
    arguments = read_weights(model.state_dict()).arguments()
    assert arguments["num_registers"] == 3
    again = nano(num_registers=3)
    assert fastitpn.load_weights(again, model.state_dict()).ok
    assert torch.equal(again.registers, model.registers)


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda model: model.set_acceleration("balanced"), "a model with registers cannot be accelerated"),
        (lambda model: fastitpn.to_official_names(model.state_dict()), "1 tensors have no published name"),
        (lambda model: nano(num_registers=-1), "num_registers=-1"),
        (
            lambda model: fastitpn.create_model("hivit_tiny", num_registers=2, device="meta"),
            "0 with relative positions",
        ),
    ],
    ids=["acceleration", "published names", "negative", "relative positions"],
)
def test_what_has_none_refuses_them(model, act, text) -> None:
    with pytest.raises(InputError) as error:
        act(model)
    assert text in str(error.value)


def test_they_are_exported_and_scripted(model) -> None:
    with torch.no_grad():
        expected = model(IMAGES)
        torch.testing.assert_close(torch.jit.script(model)(IMAGES), expected)
        torch.testing.assert_close(torch.export.export(model, (IMAGES,)).module()(IMAGES), expected)
