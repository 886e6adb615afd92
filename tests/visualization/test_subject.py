"""The model that is looked into."""

import pytest
import torch
from tiny_runs import assert_same

import fastitpn
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.acceleration.settings import PRESETS, Acceleration
from fastitpn.runs.checkpoint import save_checkpoint
from fastitpn.visualization.config import VisualizeTokensConfig
from fastitpn.visualization.subject import load_accelerated_subject as load_subject


def config(**keys) -> VisualizeTokensConfig:
    return build(VisualizeTokensConfig, {"images": "photos", **keys})


def test_of_a_checkpoint(checkpoint, saved):
    subject = load_subject(config(checkpoint=checkpoint))
    assert (subject.name, subject.px, subject.weights) == ("fastitpn_nano", 96, "weights of fast.ckpt")
    assert (subject.mean, subject.std) == ((0.5, 0.4, 0.3), (0.2, 0.25, 0.3))
    assert subject.model.acceleration == PRESETS["fast"]
    assert not subject.model.training
    assert_same(subject.model.state_dict(), saved["weights"])


def test_of_a_run(pretrained_run):
    subject = load_subject(config(checkpoint=pretrained_run.directory, px=64))
    assert (subject.px, subject.weights) == (64, "weights of pretrain")
    assert subject.model.grid_size == (4, 4)
    best = load_subject(config(checkpoint=pretrained_run.best_checkpoint))
    assert (best.px, best.weights) == (32, "weights of pretrain")


def test_of_published_weights(tmp_path, capsys):
    model = fastitpn.create_pretraining_model("fastitpn_nano", teacher_dim=48, img_size=64)
    torch.save({"module": fastitpn.to_official_names(model.half().state_dict())}, tmp_path / "published.pt")
    subject = load_subject(config(weights=tmp_path / "published.pt"))
    assert (subject.name, subject.px, subject.model.acceleration) == ("fastitpn_nano", 64, PRESETS["balanced"])
    assert subject.mean == (0.485, 0.456, 0.406)
    assert "not needed here: used in pre-training only" in capsys.readouterr().out


def test_with_random_weights_it_says_what_that_is_worth(capsys):
    torch.manual_seed(5)
    first = load_subject(config(model="fastitpn_nano"))
    assert capsys.readouterr().out == "no weights given: they are random, and show nothing\n"
    assert (first.px, first.weights, first.model.acceleration.name) == (64, "random weights", "balanced")
    assert_same(first.model.state_dict(), load_subject(config(model="fastitpn_nano")).model.state_dict())


@pytest.mark.parametrize(
    ("window", "px", "note"),
    [
        (None, 96, "attention is global"),
        (6, 96, "one covers the map; px=192 has more"),
        (4, 96, "of up to 3 x 3 tokens"),
    ],
)
def test_the_note_on_windows(saved, tmp_path, window, px, note):
    gathering = None if window is None else Gathering(window=window)
    own = Acceleration(migration=Migration(), gathering=gathering)
    save_checkpoint(tmp_path / "a.ckpt", {**saved, "acceleration": own.to_dict()})
    assert load_subject(config(checkpoint=tmp_path / "a.ckpt", px=px)).note_on_windows == note


def test_nothing_to_show(saved, tmp_path):
    own = Acceleration(gathering=Gathering(window=6))
    save_checkpoint(tmp_path / "a.ckpt", {**saved, "acceleration": own.to_dict()})
    with pytest.raises(InputError, match="no token leaves, and one window covers the map of 6 x 6 tokens") as caught:
        load_subject(config(checkpoint=tmp_path / "a.ckpt"))
    assert (caught.value.where, caught.value.fix) == ("px", "px=192")
    load_subject(config(checkpoint=tmp_path / "a.ckpt", px=192))


def test_weights_that_cannot_be_shown(tmp_path):
    torch.save(fastitpn.create_model("fastitpn_nano", embed_dim=128, num_heads=2).state_dict(), tmp_path / "odd.pt")
    with pytest.raises(InputError, match="the weights are of a size that has no name"):
        load_subject(config(weights=tmp_path / "odd.pt"))
    torch.save(fastitpn.create_model("fastitpn_nano", in_chans=6).state_dict(), tmp_path / "six.pt")
    with pytest.raises(InputError, match="the weights are for images of 6 channels"):
        load_subject(config(weights=tmp_path / "six.pt"))
    tracker = fastitpn.create_model("fastitpn_nano", in_chans=6).state_dict() | {"search_token": torch.zeros(192)}
    tracker |= {"template_foreground_token": torch.zeros(192)}
    torch.save({f"encoder.body.{name}": tensor for name, tensor in tracker.items()}, tmp_path / "tracker.pt")
    kernel = load_subject(config(weights=tmp_path / "tracker.pt")).model.patch_embed.proj.weight
    assert torch.equal(kernel, tracker["patch_embed.proj.weight"].unflatten(1, (2, 3)).sum(1))
    model = fastitpn.create_model("fastitpn_nano", relative_position="own", class_token=True)
    torch.save(model.state_dict(), tmp_path / "relative.pt")
    with pytest.raises(InputError, match="relative position"):
        load_subject(config(weights=tmp_path / "relative.pt"))
