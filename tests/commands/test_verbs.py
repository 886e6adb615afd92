"""The verbs as functions: the keys of the command line, and nothing else."""

import pytest

import fastitpn
from fastitpn.commands.demo import DemoConfig
from fastitpn.commands.of_checkpoint import keys_of_all
from fastitpn.config import parse
from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.ema import EmaKeys
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.keys import EvaluateConfig
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.segment.config import SegmentConfig

EVALUATE = keys_of_all("evaluate", EvaluateConfig)


@pytest.fixture
def calls(monkeypatch):
    """What each verb is asked to do, instead of doing it."""
    seen = []
    monkeypatch.setattr("fastitpn.commands.verb.Verb.__call__", lambda self, config: seen.append(config) or "done")
    for place in ("finetune", "evaluate"):
        monkeypatch.setattr(f"fastitpn.commands.{place}.run", lambda config: seen.append(config) or "done")
    return seen


@pytest.mark.parametrize(
    ("call", "config_class", "words"),
    [
        (
            lambda: fastitpn.pretrain(data="photos", teacher={"name": "timm:resnet18", "px": 64}, mask=0.3, steps=5),
            PretrainConfig,
            ["data=photos", "teacher=timm:resnet18", "teacher.px=64", "mask=0.3", "steps=5"],
        ),
        (
            lambda: fastitpn.pretrain(data="photos", teacher=EmaKeys(standardise=True)),
            PretrainConfig,
            ["data=photos", "teacher.standardise=true"],
        ),
        (lambda: fastitpn.pretrain(data="photos", teacher="ema"), PretrainConfig, ["data=photos", "teacher=ema"]),
        (
            lambda: fastitpn.finetune("classify", data="flowers", weights="runs/pretrain", crop_scale=(0.2, 1)),
            ClassifyConfig,
            ["data=flowers", "weights=runs/pretrain", "crop_scale=0.2,1"],
        ),
        (
            lambda: fastitpn.finetune("segment", data="streets", scale_range=(0.5, 1), head="linear"),
            SegmentConfig,
            ["data=streets", "scale_range=0.5,1", "head=linear"],
        ),
        (
            lambda: fastitpn.evaluate("run", "flowers", px=64),
            EVALUATE,
            ["run", "flowers", "px=64"],
        ),
        (lambda: fastitpn.demo(quick=True), DemoConfig, ["quick=true"]),
    ],
)
def test_keys_mean_what_they_mean_on_the_command_line(calls, call, config_class, words):
    assert call() == "done"
    assert calls == [parse(config_class, words)]


def test_a_recipe_and_keys_that_win_over_it(calls, tmp_path):
    (tmp_path / "a.yaml").write_text("data: photos\nlr: 0.1\nsteps: 3\n")
    fastitpn.pretrain(data="other", recipe=tmp_path / "a.yaml", lr=0.2)
    assert (str(calls[0].data), calls[0].lr, calls[0].steps) == ("other", 0.2, 3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: fastitpn.pretrain(data="a", tacher="ema"), r"tacher: unknown key; did you mean teacher\?"),
        (lambda: fastitpn.pretrain(data="a", img_size=64), r"img_size: unknown key; did you mean px\?"),
        (lambda: fastitpn.finetune("classify", data="a", learning_rate=1), r"unknown key; did you mean lr\?"),
        (lambda: fastitpn.evaluate("a", "b", batch_size=1), r"batch_size: unknown key; did you mean batch\?"),
        (lambda: fastitpn.demo(fast=True), "fast: unknown key"),
    ],
)
def test_unknown_keys_are_named(calls, call, text):
    with pytest.raises(InputError, match=text):
        call()
    assert calls == []


def test_an_unknown_task(calls):
    with pytest.raises(InputError, match="no task 'dance'") as caught:
        fastitpn.finetune("dance", data="a")
    assert (caught.value.expected, caught.value.fix) == (
        "classify, segment or detect",
        "finetune('classify', data=...)",
    )
    assert calls == []
