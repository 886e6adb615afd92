"""The list of arguments that stands in one dataclass, and the sizes that are made of it."""

import dataclasses
import inspect
import subprocess
import sys
from typing import get_args

import pytest
import timm
import torch
from published import small_model
from sizes import forget_size
from tiny_runs import ENVIRONMENT

import fastitpn
from fastitpn.models import registry
from fastitpn.models.acceleration.settings import PRESETS, TUNED, AccelerationName
from fastitpn.models.architecture import ARCHITECTURES, Architecture, ModelArguments
from fastitpn.models.backbone import FastITPN


def test_the_model_shows_every_argument_with_its_default() -> None:
    shown = inspect.signature(FastITPN).parameters
    assert {name: parameter.default for name, parameter in shown.items()} == {
        field.name: field.default for field in dataclasses.fields(ModelArguments)
    }
    kinds = {parameter.kind for parameter in list(shown.values())[:4]}
    assert kinds == {inspect.Parameter.POSITIONAL_OR_KEYWORD}
    assert {parameter.kind for parameter in list(shown.values())[4:]} == {inspect.Parameter.KEYWORD_ONLY}


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="depth_of_stages"):
        small_model(depth_of_stages=3)


def test_what_differs_from_the_defaults() -> None:
    assert Architecture().changes() == {}
    assert Architecture(embed_dim=64, depths=(3, 3, 24)).changes() == {"embed_dim": 64}
    assert Architecture(img_size=(64, 96)).px == 64
    for architecture in ARCHITECTURES.values():
        assert Architecture(**architecture.changes()) == architecture


@pytest.fixture
def toy():
    registry.register_size("fastitpn_toy", Architecture(embed_dim=64, depths=(1, 1, 2), num_heads=1, img_size=32))
    yield "fastitpn_toy"
    forget_size("fastitpn_toy")
    assert not timm.list_models("fastitpn_toy*")


def test_a_new_size_is_one_line(toy: str) -> None:
    model = fastitpn.create_model(toy, num_classes=3)
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
    assert model.default_cfg["input_size"] == (3, 32, 32)
    pyramid = timm.create_model(f"{toy}_fpn", features_only=True)
    assert pyramid.feature_info.channels() == [256] * 5


def test_the_names_of_presets_are_those_of_the_presets() -> None:
    assert get_args(AccelerationName) == (*PRESETS, TUNED)
    assert tuple(PRESETS) == tuple(preset.name for preset in PRESETS.values())


def test_names_and_numbers_are_there_without_torch() -> None:
    lines = (
        "import sys; from fastitpn.models.architecture import ARCHITECTURES;"
        "from fastitpn.models.acceleration.settings import PRESETS;"
        "heavy = {'torch', 'timm', 'numpy', 'PIL'} & set(sys.modules);"
        "assert not heavy, heavy; print(*ARCHITECTURES, *PRESETS)"
    )
    done = subprocess.run([sys.executable, "-c", lines], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-3:] == ["off", "balanced", "fast"]
