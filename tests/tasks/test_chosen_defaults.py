"""Defaults that follow the number of images and the device."""

from pathlib import Path

import pytest

from fastitpn.config import parse, to_yaml
from fastitpn.tasks.chosen_defaults import choose_defaults
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.classify.spec import SPEC as CLASSIFY
from fastitpn.tasks.detect.config import DetectConfig
from fastitpn.tasks.detect.spec import SPEC as DETECT
from fastitpn.tasks.segment.config import SegmentConfig
from fastitpn.tasks.segment.spec import SPEC as SEGMENT

LIGHT = {"mixup": 0, "cutmix": 0, "rand_augment": None, "random_erasing": 0, "crop_scale": (0.35, 1.0)}
LISTED = {"mixup": 0.8, "cutmix": 1.0, "rand_augment": "rand-m9-mstd0.5-inc1", "crop_scale": (0.08, 1.0), "batch": 64}
TASKS = {"classify": (ClassifyConfig, CLASSIFY), "detect": (DetectConfig, DETECT), "segment": (SegmentConfig, SEGMENT)}


def chosen(tmp_path: Path, *words: str, images: int, on_cpu: bool, task: str = "classify"):
    config_class, spec = TASKS[task]
    config = parse(config_class, ["data=photos", f"out={tmp_path / 'run'}", *words])
    return choose_defaults(config, spec.suited, images, on_cpu=on_cpu)


@pytest.mark.parametrize(
    ("images", "on_cpu", "expected"),
    [
        (20, False, {**LIGHT, "batch": 16, "epochs": 400, "eval_every_epochs": 4, "ema": None, "model": None}),
        (288, True, {**LIGHT, "batch": 16, "epochs": 100, "ema": 0.994444, "model": "fastitpn_nano", "px": 128}),
        (320, False, {**LIGHT, "batch": 16, "epochs": 100, "warmup_epochs": 5, "model": None, "px": None}),
        (5000, True, {**LIGHT, "batch": 64, "epochs": 10, "warmup_epochs": 1, "ema": None}),
        (20_000, False, {**LISTED, "epochs": 100, "ema": 0.99968}),
        (1_281_167, True, {**LISTED, "model": "fastitpn_nano", "px": 128, "epochs": 10, "ema": 0.9999}),
    ],
)
def test_values_follow_images_and_device(tmp_path, images, on_cpu, expected):
    config, line = chosen(tmp_path, images=images, on_cpu=on_cpu)
    assert {key: getattr(config, key) for key in expected} == expected
    assert f"chosen for {images} images on {'a CPU' if on_cpu else 'an accelerator'}: " in line
    assert line.endswith("; any key overrides")


@pytest.mark.parametrize(
    ("words", "images", "on_cpu"),
    [((), 50_000, False), (("defaults=fixed",), 20, True), (("defaults=fixed",), 20, False)],
)
def test_large_data_and_fixed_defaults_are_as_listed(tmp_path, words, images, on_cpu):
    config, line = chosen(tmp_path, *words, images=images, on_cpu=on_cpu)
    assert config == parse(ClassifyConfig, ["data=photos", f"out={tmp_path / 'run'}", *words])
    assert line is None


def test_a_given_key_wins_also_with_its_default(tmp_path):
    given = ("mixup=0.8", "batch=64", "epochs=100", "warmup_epochs=5", "ema=0.9999", "model=fastitpn_tiny", "px=224")
    config, line = chosen(tmp_path, *given, images=100, on_cpu=True)
    assert (config.mixup, config.batch, config.epochs, config.warmup_epochs, config.ema) == (0.8, 64, 100, 5, 0.9999)
    assert (config.model, config.px, config.cutmix) == ("fastitpn_tiny", 224, 0)
    assert not any(word in line for word in given)


def test_a_recipes_keys_are_given(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("mixup: 0.8\nepochs: 100\n")
    config, _ = chosen(tmp_path, f"recipe={recipe}", images=20, on_cpu=False)
    assert (config.mixup, config.epochs, config.cutmix) == (0.8, 100, 0)


def test_steps_stand_for_epochs(tmp_path):
    config, line = chosen(tmp_path, "steps=40", "warmup_steps=2", images=20, on_cpu=True)
    assert (config.steps, config.epochs, config.warmup_epochs, config.warmup_steps) == (40, None, None, 2)
    assert config.ema is None
    assert "(40 steps)" in line


def test_weights_say_the_model_and_the_side(tmp_path):
    config, _ = chosen(tmp_path, "weights=runs/pretrain", images=288, on_cpu=True)
    assert (config.model, config.px) == (None, None)


def test_a_model_that_was_named_keeps_its_own_side_where_that_is_small(tmp_path):
    assert chosen(tmp_path, "model=fastitpn_nano", images=288, on_cpu=True)[0].px is None
    assert chosen(tmp_path, "model=fastitpn_base", images=288, on_cpu=True)[0].px == 128


@pytest.mark.parametrize(
    ("task", "expected"),
    [("detect", {"epochs": 200, "eval_every_epochs": 20, "px": 224}), ("segment", {"epochs": 400, "px": 224})],
)
def test_networks_on_few_images_take_enough_steps(tmp_path, task, expected):
    config, _ = chosen(tmp_path, images=20, on_cpu=True, task=task)
    assert {key: getattr(config, key) for key in expected} == expected
    config, line = chosen(tmp_path, images=1000, on_cpu=False, task=task)
    assert line is None


def test_a_run_keeps_the_values_that_it_began_with(tmp_path):
    config, _ = chosen(tmp_path, images=288, on_cpu=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(to_yaml(config))
    assert chosen(tmp_path, images=289, on_cpu=False) == (config, None)
    earlier = chosen(tmp_path, "defaults=fixed", images=288, on_cpu=True)[0]
    (tmp_path / "run" / "config.yaml").write_text(to_yaml(earlier).replace("defaults: fixed\n", ""))
    again = chosen(tmp_path, images=288, on_cpu=True)[0]  # of a version that chose nothing
    assert (again.mixup, again.epochs, again.batch, again.model) == (0.8, 100, 64, None)
