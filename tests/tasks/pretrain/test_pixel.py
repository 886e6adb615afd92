"""Pre-training on pixels, as a user runs it."""

import family_sizes
import pytest
import torch
from published import randn
from tiny_runs import TRAINING, assert_same, content

import fastitpn
from fastitpn.config.parse import parse
from fastitpn.errors import InputError
from fastitpn.pretraining.pixel_model import pixel_loss, reconstruct
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.description import PretrainDescription
from fastitpn.tasks.pretrain.spec import SPEC
from fastitpn.tasks.pretrain.task import PretrainTask

SMALL = {"name": "pixel", "decoder_dim": 32, "decoder_depth": 1, "decoder_heads": 2}


@pytest.fixture(autouse=True)
def sizes():
    with family_sizes.registered():
        yield


def pretrain(scenes, out, **keys):
    return fastitpn.pretrain(
        data=scenes.unlabelled, out=out, teacher=SMALL, **{**TRAINING, "model": family_sizes.ITPN, "px": 64, **keys}
    )


def test_hidden_patches_are_left_out_and_drawn_again(scenes, tmp_path, monkeypatch):
    seen = []
    forward = PretrainTask.forward

    def noted(task: PretrainTask, batch):
        losses = forward(task, batch)
        predicted = task.trained_model(batch["image"], batch["masked"])
        seen.append((losses["loss"].item(), pixel_loss(predicted, batch["image"], batch["masked"]).item()))
        assert batch["masked"].sum(1).tolist() == [12] * len(batch["masked"])  # 75 % of 16
        assert task.trained_model.levels(batch["image"], batch["masked"])[2].shape[1] == 4
        return losses

    monkeypatch.setattr(PretrainTask, "forward", noted)
    run = pretrain(scenes, tmp_path / "run", drop_path=0.0)
    assert len(seen) == 3
    for ours, published in seen:
        assert ours == pytest.approx(published, rel=1e-5)
    report = (run.directory / "report.html").read_text()
    assert "What student and teacher see" in report
    assert "mse, masked patches" in report
    config = (run.directory / "config.yaml").read_text()
    assert "kind: random" in config
    assert "ratio: 0.75" in config
    about = PretrainDescription.from_dict(content(run))
    assert SPEC.create(about).load_state_dict(content(run)["weights"])


def test_an_interrupted_run_goes_on_to_the_same_bits(scenes, tmp_path, monkeypatch):
    keys = {"checkpoint_every": 1, "workers": 1, "pictures": False, "grad_checkpointing": True}
    unbroken = pretrain(scenes, tmp_path / "unbroken", **keys)
    steps = []

    def stop_at_the_second(task: PretrainTask, progress: float) -> None:
        steps.append(progress)
        if len(steps) == 2:
            raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(PretrainTask, "after_step", stop_at_the_second)
        with pytest.raises(OSError, match="the machine is gone"):
            pretrain(scenes, tmp_path / "cut", **keys)
    assert_same(content(pretrain(scenes, tmp_path / "cut", **keys))["training"], content(unbroken)["training"])


def test_a_classifier_starts_from_it(scenes, tmp_path):
    run = pretrain(scenes, tmp_path / "run", steps=1, pictures=False)
    model = fastitpn.create_model(family_sizes.ITPN, img_size=64, relative_position="off", num_classes=3)
    verdict = fastitpn.load_weights(model, run.directory)
    assert "head" in str(verdict)
    torch.testing.assert_close(model.pos_embed, content(run)["weights"]["backbone.pos_embed"])


def test_what_is_predicted_exactly_is_reconstructed():
    images, masked = randn(2, 3, 32, 48), torch.tensor([[True, False, True, False, False, True]] * 2)
    pixels = images.reshape(2, 3, 2, 16, 3, 16).permute(0, 2, 4, 3, 5, 1).reshape(2, 6, 768)
    targets = (pixels - pixels.mean(-1, keepdim=True)) / (pixels.var(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(reconstruct(images, targets, masked), images, rtol=0, atol=1e-5)
    nothing = reconstruct(images, torch.zeros_like(targets), masked)
    torch.testing.assert_close(nothing[:, :, :16, 16:32], images[:, :, :16, 16:32])
    torch.testing.assert_close(nothing[0, :, 0, 0].mean(), images[0, :, :16, :16].mean())


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("objective=trunk", "objective: expected merged with teacher=pixel"),
        ("loss=smooth_l1", "loss: expected cosine with teacher=pixel"),
        ("acceleration=fast", "acceleration: expected .* with teacher=pixel"),
        ("mask.kind=block", "mask.exact: expected true with teacher=pixel"),
        ("teacher.decoder_dim=100", "teacher.decoder_dim: expected a multiple of 16 and of decoder_heads, got 100"),
    ],
)
def test_keys_without_a_use_are_said(words, problem):
    with pytest.raises(InputError, match=problem):
        parse(PretrainConfig, ["data=photos", "teacher=pixel", *words.split()])


def test_masks_that_were_asked_for_stay():
    config = parse(PretrainConfig, ["data=photos", "teacher=pixel", "mask.kind=block", "mask.exact=true"]).settled()
    assert (config.mask.kind, config.mask.ratio) == ("block", 0.75)
    assert parse(PretrainConfig, ["data=photos", "teacher=pixel", "mask=0.5"]).settled().mask.ratio == 0.5
