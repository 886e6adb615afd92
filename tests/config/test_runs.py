import dataclasses
import inspect

import pytest

from fastitpn.benchmarking.config import BenchmarkConfig
from fastitpn.commands.demo import DemoConfig
from fastitpn.commands.export import ExportOfficialConfig
from fastitpn.commands.inspect import InspectConfig
from fastitpn.config import build, fields_of, parse
from fastitpn.config.convert import DataConvertConfig
from fastitpn.config.fields import REQUIRED
from fastitpn.config.values import choices, read_value, short_type, show
from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.detect.config import DetectConfig
from fastitpn.tasks.keys import EvaluateConfig, PredictConfig
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.preparation_config import CacheFeaturesConfig, DataShardConfig
from fastitpn.tasks.segment.config import SegmentConfig
from fastitpn.visualization.config import VisualizeTokensConfig

ALL = [
    CacheFeaturesConfig,
    DataConvertConfig,
    DataShardConfig,
    ExportConfig,
    ExportOfficialConfig,
    BenchmarkConfig,
    ClassifyConfig,
    DetectConfig,
    DemoConfig,
    EvaluateConfig,
    InspectConfig,
    PredictConfig,
    PretrainConfig,
    SegmentConfig,
    VisualizeTokensConfig,
]

NONE_TO_CHOOSE = {
    BenchmarkConfig,
    CacheFeaturesConfig,
    DataConvertConfig,
    DataShardConfig,
    DemoConfig,
    ExportOfficialConfig,
    InspectConfig,
}
"""Configurations without an acceleration, or with several."""
SEVERAL = ("px", "batch", "acceleration")


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


@pytest.mark.parametrize("config_class", ALL)
def test_a_default_is_that_of_the_nearest_class(config_class):
    """A second base class may not bring back the default of a class below both."""
    for field in dataclasses.fields(config_class):
        nearest = next(base for base in config_class.__mro__ if field.name in inspect.get_annotations(base))
        assert field.default == nearest.__dataclass_fields__[field.name].default, field.name


def test_a_key_has_the_same_type_everywhere():
    """But for a benchmark, stored teachers and a mix of sizes, which may have several, and the format inside a file.

    The batch of a training may be auto, too.
    """
    kinds: dict[str, set[str]] = {}
    for config_class in ALL:
        for key, field in fields_of(config_class).items():
            if key in {
                BenchmarkConfig: SEVERAL,
                ExportConfig: ("precision",),
                PretrainConfig: ("px",),
                CacheFeaturesConfig: ("teacher.name", "teacher.px", "teacher.weights"),
            }.get(config_class, ()):
                continue
            kinds.setdefault(key, set()).add(
                short_type(field.annotation).removesuffix(" | none").removesuffix(" | auto")
            )
    assert {key: kind for key, kind in kinds.items() if len(kind) > 1} == {}


def test_the_names_of_accelerations_are_those_of_the_presets():
    from fastitpn.models.acceleration.settings import PRESETS, TUNED

    for config_class in set(ALL) - NONE_TO_CHOOSE:
        assert choices(fields_of(config_class)["acceleration"].annotation) == [*PRESETS, TUNED], config_class


def test_one_or_several(tmp_path):
    for given in ("224", 224, [224]):
        assert build(BenchmarkConfig, {"px": given}).px == (224,)
    (tmp_path / "a.yaml").write_text("px: [224, 512]\nbatch: 8\nacceleration: [off, fast]\npeers: test_vit\n")
    config = parse(BenchmarkConfig, [f"recipe={tmp_path / 'a.yaml'}"])
    assert (config.px, config.batch) == ((224, 512), (8,))
    assert (config.acceleration, config.peers) == (("off", "fast"), ("test_vit",))
    assert parse(BenchmarkConfig, ["acceleration=all"]).acceleration == "all"
    with pytest.raises(InputError, match="px: expected values separated by commas"):
        build(BenchmarkConfig, {"px": []})
    with pytest.raises(InputError, match="batch: expected values separated by commas"):
        build(BenchmarkConfig, {"batch": True})


def test_off_in_a_recipe_is_a_word(tmp_path):
    """YAML reads it as false."""
    (tmp_path / "a.yaml").write_text("acceleration: off\n")
    assert parse(ClassifyConfig, ["data=a", f"recipe={tmp_path / 'a.yaml'}"]).acceleration == "off"
    (tmp_path / "b.yaml").write_text("acceleration: on\n")
    with pytest.raises(
        InputError, match=r"b\.yaml, line 1: acceleration: expected one of off, balanced, fast, tuned or none"
    ):
        parse(ClassifyConfig, ["data=a", f"recipe={tmp_path / 'b.yaml'}"])


def test_length_of_training():
    assert parse(PretrainConfig, ["data=a"]).epochs == 300
    assert parse(ClassifyConfig, ["data=a"]).epochs == 100
    assert build(PretrainConfig, {"data": "a", "epochs": None, "steps": None}).epochs == 300
    config = parse(PretrainConfig, ["data=a", "steps=7", "warmup_steps=0"])
    assert (config.steps, config.epochs, config.warmup_steps, config.warmup_epochs) == (7, None, 0, None)


def test_scratch_and_weights_exclude_each_other():
    with pytest.raises(InputError, match="scratch: expected false where weights are given, got true"):
        parse(ClassifyConfig, ["data=a", "weights=w.pt", "scratch=true"])
