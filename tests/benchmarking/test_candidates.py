import dataclasses
import json
import socket

import pytest
import timm
import torch

from fastitpn.benchmarking.candidates import Candidate, Unfit, accelerations_of, check_peers, first_line
from fastitpn.errors import InputError
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.acceleration.settings import PRESETS, Acceleration

NANO = Candidate(model="fastitpn_nano", acceleration=PRESETS["off"])


@pytest.fixture
def offline(monkeypatch):
    def refuse(*args, **keys):
        raise AssertionError("something was fetched")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_ours_with_its_acceleration_and_size():
    model = dataclasses.replace(NANO, acceleration=PRESETS["fast"], arguments={"num_classes": 7}).build(96)
    assert model.acceleration == PRESETS["fast"]
    assert (model.grid_size, model.num_classes, model.training) == ((6, 6), 7, False)
    assert model.pyramid is None
    assert dataclasses.replace(NANO, pyramid=True).build(64).pyramid is not None


def test_an_acceleration_that_does_not_fit_says_why():
    too_wide = Acceleration(gathering=Gathering(window=9))
    with pytest.raises(Unfit, match="window=9 is out of range"):
        dataclasses.replace(NANO, acceleration=too_wide).build(64)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_vit.r160_in1k"])
def test_peers_are_built_without_fetching_and_run_at_the_size(offline, name):
    check_peers([name])
    model = Candidate(model=name).build(96)
    assert not model.training
    assert model(torch.zeros(1, 3, 96, 96)).shape == (1, 1000)


def test_a_peer_whose_patches_do_not_fit_is_not_run_on_a_part_of_the_image():
    with pytest.raises(Unfit, match="96 px is no multiple of its patches of 14 px"):
        Candidate(model="eva02_tiny_patch14_224").build(96)


def test_a_peer_that_refuses_a_size_says_why(monkeypatch):
    def refuse(name, **keys):
        raise RuntimeError("made for 224 px\nand nothing else")

    monkeypatch.setattr(timm, "create_model", refuse)
    with pytest.raises(Unfit, match=r"^made for 224 px$"):
        Candidate(model="test_vit").build(96)


@pytest.mark.parametrize("name", ["vit_base_patch16_244", "hf-hub:timm/vit_base_patch16_224", "resnet1001"])
def test_unknown_peers(offline, name):
    with pytest.raises(InputError, match=f"timm has no model {name!r}") as caught:
        check_peers(["test_vit", name])
    assert caught.value.where == "peers"
    if name == "vit_base_patch16_244":
        assert caught.value.fix == "peers=vit_base_patch16_224"


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate(model="test_vit"),
        Candidate(
            model="fastitpn_nano",
            acceleration=Acceleration(name="own", migration=Migration(keep_ratio=(0.5, 0.4), after_blocks=(1, 2))),
            arguments={"in_chans": 4, "swiglu": False},
            pyramid=True,
            alias="called so",
        ),
    ],
)
def test_the_way_to_another_process_and_back(candidate):
    assert Candidate.from_dict(json.loads(json.dumps(candidate.to_dict()))) == candidate


def test_names():
    half = Candidate(model="fastitpn_nano", acceleration=PRESETS["fast"], alias="fast: migration alone")
    assert (NANO.acceleration_name, half.acceleration_name) == ("off", "fast: migration alone")
    assert Candidate(model="test_vit").acceleration_name is None
    assert (NANO.plain, half.plain, Candidate(model="test_vit").plain) == (True, False, False)
    assert accelerations_of([NANO, half, Candidate(model="test_vit")]) == {
        "off": PRESETS["off"],
        "fast: migration alone": PRESETS["fast"],
    }
    assert Candidate(model="test_vit", arguments={"in_chans": 1}).in_chans == 1


def test_an_error_in_a_line():
    assert first_line(ValueError("\n one\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"
