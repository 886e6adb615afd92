"""Length of a run, its numbers, and the weights that it starts from."""

import pytest
import torch
from published import nano
from tiny_runs import TRAINING

import fastitpn
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.training.settings import FitSettings
from fastitpn.training.setup import (
    check_model,
    fit_settings,
    global_batch,
    seed_start,
    start_from,
    total_steps,
    warmup_steps,
)


def config(**keys) -> ClassifyConfig:
    return build(ClassifyConfig, {"data": "photos", **keys})


def test_images_of_a_step_over_all_devices():
    assert global_batch(config(batch=8, accumulate=3, devices=2, nodes=5)) == 240


@pytest.mark.parametrize(
    ("keys", "steps"),
    [
        ({"steps": 7}, 7),
        ({"epochs": 3, "batch": 10}, 30),
        ({"epochs": 1, "batch": 30}, 4),  # 100 / 30 is 3.3
        ({"epochs": 0.5, "batch": 10}, 5),
        ({"epochs": 1, "batch": 200}, 1),
        ({"epochs": 2, "batch": 10, "accumulate": 2, "devices": 5}, 2),
    ],
)
def test_length_of_a_run_over_100_images(keys, steps):
    assert total_steps(config(**keys), 100) == steps


@pytest.mark.parametrize(
    ("keys", "steps", "warmup"),
    [
        ({"warmup_epochs": 2, "batch": 10}, 1000, 20),
        ({"warmup_epochs": 2, "batch": 10}, 50, 10),  # at most a fifth
        ({"warmup_epochs": 0, "batch": 10}, 50, 0),
        ({"warmup_steps": 30}, 50, 30),  # as it was asked for
        ({"warmup_steps": 90}, 50, 50),
    ],
)
def test_warm_up_over_100_images(keys, steps, warmup):
    assert warmup_steps(config(**keys), 100, steps) == warmup


def test_a_shortened_warm_up_is_said(caplog):
    with caplog.at_level("INFO", "fastitpn"):
        warmup_steps(config(warmup_epochs=2, batch=10), 100, 1000)
        assert not caplog.records
        warmup_steps(config(warmup_epochs=2, batch=10), 100, 50)
    assert "the warm-up of 2 epochs is shortened to 10 of 50 steps" in caplog.text


def test_the_warm_up_of_a_run_that_may_grow_does_not_depend_on_its_length():
    keys = config(warmup_epochs=2, batch=10)
    assert [warmup_steps(keys, 100, steps, schedule="constant") for steps in (15, 50, 1000)] == [15, 20, 20]


def test_every_number_reaches_the_engine():
    keys = {
        "lr": 0.3,
        "min_lr": 0.2,
        "weight_decay": 0.1,
        "betas": (0.5, 0.6),
        "clip_grad": 2.0,
        "accumulate": 3,
        "checkpoint_every": 11,
        "log_every": 12,
        "seed": 13,
        "compile": True,
    }
    settings = fit_settings(config(steps=50, warmup_steps=4, **keys), 100, layer_decay=0.7, evaluate_every=5)
    expected = FitSettings(steps=50, warmup_steps=4, layer_decay=0.7, evaluate_every=5, **keys)
    assert settings == expected


def test_the_published_numbers_of_pre_training_are_the_default():
    settings = fit_settings(build(PretrainConfig, {"data": "photos", "batch": 2048}), 1_281_167)
    assert (settings.lr, settings.min_lr, settings.betas, settings.clip_grad) == (1.5e-3, 1e-5, (0.9, 0.98), 3.0)
    assert (settings.weight_decay, settings.layer_decay, settings.ema) == (0.05, None, None)
    assert settings.steps == 187_671  # 300 epochs
    assert settings.warmup_steps == 6256  # 10 epochs


def test_start_values_depend_on_the_seed_alone():
    drawn = []
    for before, seed in ((1, 5), (2, 5), (1, 6)):
        torch.manual_seed(before)
        seed_start(seed)
        drawn.append(torch.randn(3))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize(
    ("name", "fix"),
    [("fastitpn_tinny", "model=fastitpn_tiny"), ("base", "model=fastitpn_base"), ("a" * 99, "model=fastitpn_tiny")],
)
def test_an_unknown_model_names_the_nearest(name, fix):
    with pytest.raises(InputError, match=f"there is no model '{name}'") as caught:
        check_model(name)
    assert (caught.value.where, caught.value.fix) == ("model", fix)
    assert "fastitpn_nano, fastitpn_tiny, fastitpn_small" in caught.value.expected
    check_model("fastitpn_large")


class TestStartFrom:
    """Weights, and what is said of them."""

    def test_the_verdict_is_printed_and_logged(self, tmp_path, capsys, caplog):
        model = nano(img_size=32, num_classes=3)
        torch.save(nano(img_size=64, num_classes=3).state_dict(), tmp_path / "a.pt")
        with caplog.at_level("INFO", "fastitpn"):
            report = start_from(model, tmp_path / "a.pt", name="fastitpn_nano", fix="-")
        assert report.ok
        verdict = f"{tmp_path / 'a.pt'}: {report.verdict}\n"
        assert capsys.readouterr().out == verdict
        assert verdict.strip() in caplog.text
        assert "pos_embed resized 4x4 -> 2x2 (bicubic)" in verdict

    def test_weights_of_another_size_name_their_model(self, tmp_path):
        small = fastitpn.create_model("fastitpn_nano", num_classes=0)
        torch.save(small.state_dict(), tmp_path / "a.pt")
        model = fastitpn.create_model("fastitpn_tiny", device="meta")
        with pytest.raises(InputError, match="these are weights of fastitpn_nano") as caught:
            start_from(model, tmp_path / "a.pt", name="fastitpn_tiny", fix="-")
        assert str(caught.value.where) == str(tmp_path / "a.pt")
        assert caught.value.fix == "model=fastitpn_nano, or weights=FILE of fastitpn_tiny"

    def test_weights_that_do_not_fit_otherwise(self, tmp_path):
        torch.save(nano(init_values=0.0).state_dict(), tmp_path / "a.pt")
        before = nano(weight_init="finetune").state_dict()
        model = nano()
        with pytest.raises(InputError, match=r"MISSING: stages\.2\.blocks\.0\.gamma_1") as caught:
            start_from(model, tmp_path / "a.pt", name="fastitpn_nano", fix="what to type")
        assert caught.value.fix == "what to type"
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert not start_from(model, tmp_path / "a.pt", name="fastitpn_nano", fix="-", strict=False).ok

    def test_blocks_with_experts(self, tmp_path):
        file = fastitpn.create_model("fastitpn_nano")
        fastitpn.add_experts(file, 6, 2)
        torch.save(file.state_dict(), tmp_path / "a.pt")
        with pytest.raises(InputError, match="MISSING") as caught:
            start_from(fastitpn.create_model("fastitpn_nano"), tmp_path / "a.pt", name="fastitpn_nano", fix="-")
        assert caught.value.fix == "blocks=1-5, which have no experts"

    def test_a_file_that_cannot_be_read(self, tmp_path):
        (tmp_path / "a.pt").write_text("no weights")
        with pytest.raises(InputError, match="the file is damaged or no PyTorch file") as caught:
            start_from(nano(), tmp_path / "a.pt", name="fastitpn_nano", fix="-")
        assert caught.value.fix == "get the file again"


def test_the_keys_of_these_tests_are_a_configuration():
    build(ClassifyConfig, {"data": "photos", **TRAINING})
    build(PretrainConfig, {"data": "photos", **TRAINING})
