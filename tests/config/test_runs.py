import pytest

from fastitpn.config import (
    ClassifyConfig,
    DemoConfig,
    EvaluateConfig,
    InspectConfig,
    PredictConfig,
    PretrainConfig,
    build,
    fields_of,
    parse,
)
from fastitpn.config.fields import REQUIRED
from fastitpn.config.values import read_value, short_type, show
from fastitpn.errors import InputError

ALL = [ClassifyConfig, DemoConfig, EvaluateConfig, InspectConfig, PredictConfig, PretrainConfig]


@pytest.mark.parametrize("config_class", ALL)
def test_every_key_has_one_sentence(config_class):
    for key, field in fields_of(config_class).items():
        assert field.sentence.endswith("."), f"{key} has no docstring line"
        assert len(field.sentence) <= 120, key


@pytest.mark.parametrize("config_class", ALL)
def test_every_default_is_what_its_type_asks_for(config_class):
    for key, field in fields_of(config_class).items():
        if field.default is not REQUIRED:
            assert read_value(field.annotation, show(field.default)) == field.default, key


@pytest.mark.parametrize("config_class", ALL)
def test_positional_keys_exist(config_class):
    assert set(config_class._positional) <= set(fields_of(config_class))


def test_a_key_has_the_same_type_everywhere():
    kinds: dict[str, set[str]] = {}
    for config_class in ALL:
        for key, field in fields_of(config_class).items():
            kinds.setdefault(key, set()).add(short_type(field.annotation).removesuffix(" | none"))
    assert {key: kind for key, kind in kinds.items() if len(kind) > 1} == {}


def test_length_of_training():
    assert parse(PretrainConfig, ["data=a"]).epochs == 300
    assert parse(ClassifyConfig, ["data=a"]).epochs == 100
    assert build(PretrainConfig, {"data": "a", "epochs": None, "steps": None}).epochs == 300
    config = parse(PretrainConfig, ["data=a", "steps=7", "warmup_steps=0"])
    assert (config.steps, config.epochs, config.warmup_steps, config.warmup_epochs) == (7, None, 0, None)


def test_scratch_and_weights_exclude_each_other():
    with pytest.raises(InputError, match="scratch: expected false where weights are given, got true"):
        parse(ClassifyConfig, ["data=a", "weights=w.pt", "scratch=true"])
