"""iTPN and HiViT behind the commands: weights pick the model, and one of another family is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import family_sizes
import pytest
import torch
from torch import nn

import fastitpn
from fastitpn.benchmarking.benchmark import find_candidates
from fastitpn.benchmarking.config import BenchmarkConfig
from fastitpn.errors import InputError
from fastitpn.models.acceleration.settings import PRESETS
from fastitpn.models.registry import create_model
from fastitpn.models.weights.file import read_weights
from fastitpn.pretraining.model import create_pretraining_model
from fastitpn.pretraining.pixel_model import create_pixel_model
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.inspection import inspect
from fastitpn.tasks.start import Start, find_start, start_network


@pytest.fixture(scope="module", autouse=True)
def small_sizes() -> Iterator[None]:
    with family_sizes.registered():
        yield


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """Published files of small models."""
    pretraining = {"teacher_dim": 24, "auxiliary_dim": 24}
    models: dict[str, Any] = {
        "clip": create_pretraining_model(family_sizes.ITPN, **pretraining),
        "pixels": create_pixel_model(family_sizes.ITPN, init_values=0.0, decoder_dim=32, decoder_depth=2),
        "hivit": create_model(family_sizes.HIVIT, num_classes=4),
        "fastitpn": create_model("fastitpn_nano"),
    }
    for name, model in models.items():
        torch.save({"model": fastitpn.to_official_names(model.state_dict())}, tmp_path / f"{name}.pth")
    return {name: tmp_path / f"{name}.pth" for name in models}


@pytest.mark.parametrize(
    ("file", "what", "calls"),
    [
        (
            "clip",
            "pre-training weights of iTPN, with the published names",
            ["create_pretraining_model('itpn_micro', teacher_dim=24, auxiliary_dim=24)", "create_model('itpn_micro')"],
        ),
        (
            "pixels",
            "pre-training weights of iTPN, with the published names",
            [
                "create_pixel_model('itpn_micro', init_values=0.0, decoder_dim=32, decoder_depth=2, out_dim=768)",
                "create_model('itpn_micro', init_values=0.0, relative_position='off')",
            ],
        ),
        ("hivit", "classifier of HiViT, with the published names", ["create_model('hivit_micro', num_classes=4)"]),
    ],
)
def test_inspect_names_the_family_and_the_model(files: dict[str, Path], file: str, what: str, calls: list[str]) -> None:
    seen = inspect(files[file])
    assert seen.what == what
    assert [verdict.model for verdict in seen.verdicts] == calls
    assert all(verdict.ok for verdict in seen.verdicts)


@pytest.mark.parametrize(
    ("file", "name", "arguments"),
    [
        ("clip", "itpn_micro", {"relative_position": "own", "init_values": 0.1}),
        ("pixels", "itpn_micro", {"relative_position": "off", "init_values": 0.0}),
        ("hivit", "hivit_micro", {"relative_position": "own", "init_values": 0.0}),
    ],
)
def test_weights_pick_the_model_of_a_fine_tuning(
    files: dict[str, Path], file: str, name: str, arguments: dict[str, Any]
) -> None:
    start = find_start(ClassifyConfig(data=Path(), weights=files[file], px=96), without=("num_classes",))
    assert (start.name, start.px) == (name, 96)
    assert arguments.items() <= start.arguments.items()
    model = create_model(start.name, **start.arguments)
    assert start.file is not None
    report = fastitpn.load_weights(model, start.file)
    assert report.resized["pos_embed"] == "4x4 -> 6x6 (bicubic)"


@pytest.mark.parametrize(
    ("file", "model", "message"),
    [
        (
            "clip",
            "fastitpn_nano",
            r"itpn_micro \(iTPN or HiViT\), and fastitpn_nano is of .*\n.*\n.*\n.*model=itpn_micro",
        ),
        ("fastitpn", "hivit_micro", r"of fastitpn_nano \(Fast-iTPN\), and hivit_micro is .*\n.*\n.*\n.*=fastitpn_nano"),
    ],
)
def test_a_model_of_another_family_is_refused(files: dict[str, Path], file: str, model: str, message: str) -> None:
    with pytest.raises(fastitpn.InputError, match=message):
        find_start(ClassifyConfig(data=Path(), weights=files[file], model=model), without=())
    with pytest.raises(fastitpn.InputError, match=message):
        find_candidates(BenchmarkConfig(weights=files[file], model=model))
    [*_, verdict] = inspect(files[file], model=model).verdicts
    assert not verdict.ok
    assert "another family" in verdict.sentence


def test_official_files_keep_the_second_prediction_of_itpn(files: dict[str, Path], tmp_path: Path) -> None:
    fastitpn.export("official", files["clip"], out=tmp_path / "again.pth")
    first, again = (torch.load(file)["model"] for file in (files["clip"], tmp_path / "again.pth"))
    assert first.keys() == again.keys()
    assert "lm_cls_head.weight" in again
    for name, tensor in first.items():
        assert torch.equal(again[name], tensor), name


def test_hivit_has_never_a_pyramid(files: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    backbone = create_model(family_sizes.HIVIT, pyramid=True, num_classes=0)
    with pytest.raises(InputError, match=r"MISSING: pyramid\."):
        fastitpn.load_weights(backbone, files["hivit"])
    before = backbone.pyramid.lateral16.weight.clone()
    report = fastitpn.load_weights(backbone, files["hivit"], fresh_pyramid=True)
    assert report.ok
    assert "the pyramid is new; " in report.verdict
    assert torch.equal(backbone.pyramid.lateral16.weight, before)
    file = read_weights(files["hivit"])
    start = Start(name=family_sizes.HIVIT, px=32, arguments={}, acceleration=PRESETS["off"], file=file)
    network = nn.Module()
    network.backbone, network.head = backbone, nn.Linear(1, 1)
    start_network(network, start, task="segment", head=("head", {}), classes=(), class_layers=(), strict=True)
    assert "the pyramid is new" in "".join(capsys.readouterr())
