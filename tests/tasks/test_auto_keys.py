import pytest

from fastitpn.config import build, parse
from fastitpn.config.fields import given_keys
from fastitpn.errors import InputError
from fastitpn.runs.run_directory import prepare
from fastitpn.tasks.auto_keys import with_device, with_listed_batch, with_published_rate
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.detect.config import DetectConfig
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.pretrain import RATES
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.segment.config import SegmentConfig
from fastitpn.training.processes import devices


@pytest.mark.parametrize(
    ("config_class", "keys", "lr"),
    [
        (ClassifyConfig, {"batch": 64}, 6.25e-6),
        (ClassifyConfig, {"batch": 64, "accumulate": 16}, 1e-4),
        (SegmentConfig, {"batch": 16}, 3e-5),
        (SegmentConfig, {"batch": 8, "head": "maskdino"}, 5e-5),
        (DetectConfig, {"batch": 8}, 2.5e-5),
        (DetectConfig, {"batch": 16, "detector": "dino"}, 1e-4),
    ],
    ids=["classify", "accumulate", "upernet", "maskdino", "mask-rcnn", "dino"],
)
def test_the_published_rate_of_a_task_is_printed(config_class, keys, lr, capsys):
    config = build(config_class, {"data": "x", "lr": "auto", **keys})
    rates = TASKS.spec(config._command.split()[-1]).published_rates(config)
    resolved = with_published_rate(config, "fastitpn_base", rates)
    assert resolved.lr == pytest.approx(lr)
    assert f"lr=auto: lr={resolved.lr:g} for " in capsys.readouterr().out
    assert resolved.problems() == []


@pytest.mark.parametrize("untrained", [True, False])
def test_the_published_rate_is_said_to_be_small_for_random_weights(capsys, untrained):
    config = build(ClassifyConfig, {"data": "x", "lr": "auto"})
    with_published_rate(config, "fastitpn_base", TASKS.spec("classify").published_rates(config), untrained=untrained)
    assert ("random ones hardly learn with it (leave lr out)" in capsys.readouterr().out) == untrained


def test_no_rate_without_a_published_one():
    config = build(SegmentConfig, {"data": "x", "lr": "auto", "head": "linear"})
    with pytest.raises(InputError, match="lr=auto: no learning rate is published") as caught:
        with_published_rate(config, "fastitpn_base", TASKS.spec("segment").published_rates(config))
    assert caught.value.fix == "lr=1e-4"


def test_pre_training_has_two():
    config = build(PretrainConfig, {"data": "x", "lr": "auto", "batch": 1024})
    assert [with_published_rate(config, "fastitpn_base", rates).lr for rates in RATES] == [7.5e-4, 6e-4]


def test_auto_stands_for_the_listed_batch_until_one_is_found(tmp_path):
    config = parse(ClassifyConfig, ["data=x", "batch=auto", f"out={tmp_path / 'run'}"])
    listed, find = with_listed_batch(config)
    assert (listed.batch, find) == (64, True)
    assert given_keys(listed) == {"data", "out"}  # so that few images may choose another
    assert with_listed_batch(listed) == (listed, False)


def test_a_run_that_goes_on_keeps_the_batch_that_it_found(tmp_path):
    prepare(
        tmp_path / "run", build(ClassifyConfig, {"data": "x", "batch": 8, "accumulate": 2, "out": tmp_path / "run"})
    )
    config, find = with_listed_batch(parse(ClassifyConfig, ["data=x", "batch=auto", f"out={tmp_path / 'run'}"]))
    assert (config.batch, config.accumulate, find) == (8, 2, False)


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("lr=outo", "lr: expected a number greater than 0 or auto, got 'outo'"),
        ("batch=0", "batch: expected a whole number of at least 1 or auto, got '0'"),
        ("accumulate=auto", "accumulate: expected a whole number of at least 1, got 'auto'"),
    ],
)
def test_auto_is_a_word_of_some_keys(word, text):
    with pytest.raises(InputError) as caught:
        parse(ClassifyConfig, ["data=x", word])
    assert text in str(caught.value)


def test_device_and_precision_are_written_as_what_they_stand_for(tmp_path, monkeypatch):
    given = {"data": "x", "out": tmp_path / "run"}
    monkeypatch.setattr(devices, "_available", lambda: {"cpu": 1})
    config = with_device(build(ClassifyConfig, given))
    assert (config.device, config.precision) == ("cpu", "32-true")
    prepare(config.out, config)
    monkeypatch.setattr(devices, "_available", lambda: {"cpu": 1, "cuda": 1})
    resumed = with_device(build(ClassifyConfig, given))
    assert (resumed.device, resumed.precision) == ("cuda", "32-true")
    prepare(config.out, resumed)
    other = with_device(build(ClassifyConfig, {**given, "precision": "bf16-mixed"}))
    with pytest.raises(InputError, match="precision: '32-true' there, 'bf16-mixed' now"):
        prepare(config.out, other)


def test_a_run_whose_precision_was_not_written_down_goes_on(tmp_path):
    config = build(ClassifyConfig, {"data": "x", "out": tmp_path / "run", "device": "cpu"})
    prepare(config.out, config)
    assert "precision: auto" in (config.out / "config.yaml").read_text()
    resumed = with_device(config)
    assert resumed.precision == "32-true"
    prepare(config.out, resumed)
