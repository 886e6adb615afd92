"""`key`, `prefix` and `blocks` mean the same in every verb that takes weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from published import nano
from torch import Tensor

from fastitpn.benchmarking.benchmark import find_candidates
from fastitpn.benchmarking.config import BenchmarkConfig
from fastitpn.commands.export import ExportOfficialConfig, run_official
from fastitpn.config import build
from fastitpn.exporting.config import ExportConfig
from fastitpn.models.weights.official_names import to_official_names
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.exporting import load_subject
from fastitpn.tasks.inspection import inspect
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.pretrain import build_task
from fastitpn.tasks.start import find_start
from fastitpn.visualization.config import VisualizeFeaturesConfig
from fastitpn.visualization.subject import load_subject as load_shown

CHOICE = {"key": "student", "prefix": "net.", "blocks": "2-4"}


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return to_official_names(nano(num_classes=0, img_size=64).state_dict())


@pytest.fixture(scope="module")
def file(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four networks, so that nothing but key and prefix says which."""
    path = tmp_path_factory.mktemp("weights") / "several.pt"
    other = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    networks = {f"net.{n}": t for n, t in state.items()} | {f"old.{n}": t for n, t in other.items()}
    torch.save({"student": networks, "teacher": {f"net.{n}": t for n, t in other.items()}}, path)
    return path


def assert_chosen(trunk: Any, state: dict[str, Tensor]) -> None:
    assert len(trunk.stages[2].blocks) == 3
    assert torch.equal(trunk.stages[2].blocks[0].norm1.weight, state["blocks.5.norm1.weight"])
    assert torch.equal(trunk.stages[2].blocks[2].mlp.fc2.weight, state["blocks.7.mlp.w3.weight"])


def test_finetune(file: Path, state: dict[str, Tensor]) -> None:
    config = build(ClassifyConfig, {"data": "photos", "weights": file, "out": "runs", **CHOICE})
    start = find_start(config, without=())
    assert (start.name, start.arguments["depths"]) == ("fastitpn_nano", (1, 1, 3))
    assert start.file is not None
    assert torch.equal(start.file.tensors["stages.2.blocks.0.norm1.weight"], state["blocks.5.norm1.weight"])


def test_pretrain(tmp_path: Path, state: dict[str, Tensor]) -> None:
    torch.manual_seed(1)
    config = {"data": "photos", "out": "runs", "model": "fastitpn_nano", "px": 64, "teacher": "ema"}
    first = build_task(build(PretrainConfig, config)).trained_model.state_dict()
    torch.save({"a": first, "b": dict(first)}, tmp_path / "a.pt")
    again = {**config, "weights": tmp_path / "a.pt", "key": "b", "blocks": "1-3"}
    task = build_task(build(PretrainConfig, again))
    assert task.about.model["arguments"]["depths"] == (1, 1, 3)
    trunk: Any = task.trained_model.backbone
    assert len(trunk.stages[2].blocks) == 3
    assert torch.equal(trunk.stages[2].blocks[2].attn.proj.weight, first["backbone.stages.2.blocks.2.attn.proj.weight"])


def test_benchmark(file: Path) -> None:
    candidates, px = find_candidates(build(BenchmarkConfig, {"weights": file, **CHOICE}))
    assert px == (64,)
    assert len(candidates[0].build(32).stages[2].blocks) == 3  # type: ignore[arg-type, index, union-attr]


def test_export(file: Path, state: dict[str, Tensor], tmp_path: Path) -> None:
    subject = load_subject(build(ExportConfig, {"checkpoint": file, **CHOICE}))
    assert_chosen(subject.backbone, state)
    assert subject.model["arguments"]["depths"] == (1, 1, 3)
    out = run_official(build(ExportOfficialConfig, {"checkpoint": file, "out": tmp_path / "a.pt", **CHOICE}))
    written = torch.load(out)["model"]
    assert torch.equal(written["blocks.4.norm1.weight"], state["blocks.5.norm1.weight"])


def test_visualize_and_inspect(file: Path, state: dict[str, Tensor]) -> None:
    subject = load_shown(build(VisualizeFeaturesConfig, {"weights": file, "images": "a", **CHOICE}), pyramid=False)
    assert_chosen(subject.model, state)
    [verdict] = inspect(file, **CHOICE).verdicts
    assert verdict.model == "create_model('fastitpn_nano', depths=(1, 1, 3), num_classes=0)"
    assert verdict.ok
