"""timm's ways to load a file fill the trunk, or raise; nothing stays random in silence."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from published import nano
from torch import Tensor

import fastitpn
from fastitpn.errors import InputError
from fastitpn.models.weights.official_names import from_official_names, to_official_names


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return to_official_names(nano(num_classes=3, img_size=64).state_dict())


@pytest.fixture(scope="module")
def file(state: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "fast_itpn.pt"
    torch.save({"module": state, "best": np.float64(1.0)}, path)
    return path


def assert_same_trunk(model: Any, state: dict[str, Tensor]) -> None:
    trunk = getattr(model, "model", model)
    names = {n: p for n, p in trunk.state_dict().items() if n.startswith("stages")}
    loaded = to_official_names(names)
    assert len(loaded) > 100
    assert all(torch.equal(loaded[name], state[name]) for name in loaded)


OVERLAYS: list[dict[str, Any]] = [
    {"img_size": 64},
    {"num_classes": 5, "img_size": 96, "in_chans": 6},
    {"num_classes": 0},
    {"features_only": True},
    {"features_only": True, "out_indices": (1, 2), "in_chans": 1, "img_size": 32},
    {"num_classes": 3, "img_size": (64, 96), "global_pool": ""},
]


@pytest.mark.parametrize("arguments", OVERLAYS)
@pytest.mark.parametrize("form", ["file", "state_dict"])
def test_overlay(form: str, arguments: dict[str, Any], file: Path, state: dict[str, Tensor]) -> None:
    source = {"file": str(file)} if form == "file" else {"state_dict": {"model": dict(state)}}
    model = timm.create_model("fastitpn_nano", pretrained=True, pretrained_cfg_overlay=source, **arguments)
    assert_same_trunk(model, state)
    stem = getattr(model, "model", model).patch_embed.proj.weight
    if stem.shape[1] == 3:
        assert torch.equal(stem, state["patch_embed.proj.weight"])
    if stem.shape[1] == 6:
        assert torch.equal(stem, state["patch_embed.proj.weight"].repeat(1, 2, 1, 1) / 2)


@pytest.mark.parametrize("key", ["model", "module", "state_dict", None])
def test_checkpoint_path(key: str | None, state: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({key: state, "epoch": 3} if key else state, tmp_path / "x.pt")
    model = timm.create_model("fastitpn_nano", checkpoint_path=str(tmp_path / "x.pt"), num_classes=3, img_size=64)
    assert_same_trunk(model, state)
    assert torch.equal(model.head.weight, state["head.weight"])
    model = timm.create_model("fastitpn_nano", checkpoint_path=str(tmp_path / "x.pt"), num_classes=0, img_size=96)
    assert_same_trunk(model, state)


@pytest.mark.parametrize("out_indices", [None, (0, 1), (2,), (0,)])
@pytest.mark.parametrize("form", ["published", "nested", "ours", "wrapper's own"])
def test_checkpoint_path_of_features(
    form: str, out_indices: tuple[int, ...] | None, state: dict[str, Tensor], tmp_path: Path
) -> None:
    given: dict[str, Any] = {"features_only": True, "out_indices": out_indices or (0, 1, 2)}
    content: Any = {"published": state, "nested": {"model": state}}.get(form)
    if form == "ours":
        content = from_official_names(state)[0]
    if form == "wrapper's own":
        overlay = {"file": str(tmp_path / "x.pt")}
        torch.save(state, tmp_path / "x.pt")
        model = timm.create_model("fastitpn_nano", pretrained=True, pretrained_cfg_overlay=overlay, **given)
        content = model.state_dict()
    torch.save(content, tmp_path / "x.pt")
    model = timm.create_model("fastitpn_nano", checkpoint_path=str(tmp_path / "x.pt"), **given)
    loaded = to_official_names({n: p for n, p in model.model.state_dict().items() if n.startswith(("stages", "patch"))})
    assert len(loaded) >= 10
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.items())


def test_what_does_not_fit_raises(file: Path, state: dict[str, Tensor], tmp_path: Path) -> None:
    overlay = {"pretrained": True, "pretrained_cfg_overlay": {"file": str(file)}}
    with pytest.raises(InputError, match="these are weights of fastitpn_nano"):
        timm.create_model("fastitpn_tiny", **overlay)
    with pytest.raises(InputError, match="MISSING: pyramid"):
        timm.create_model("fastitpn_nano_fpn", **overlay)
    (tmp_path / "x.pt").write_bytes(b"")
    with pytest.raises(InputError, match="the file is damaged"):
        timm.create_model("fastitpn_nano", pretrained=True, pretrained_cfg_overlay={"file": str(tmp_path / "x.pt")})
    with pytest.raises(InputError, match="no file is published for fastitpn_nano"):
        timm.create_model("fastitpn_nano", pretrained=True)
    torch.save({name: tensor for name, tensor in state.items() if "mlp" not in name}, tmp_path / "y.pt")
    with pytest.raises(InputError, match="MISSING"):
        timm.create_model("fastitpn_nano", features_only=True, checkpoint_path=str(tmp_path / "y.pt"))


def test_load_state_dict_takes_published_names(state: dict[str, Tensor]) -> None:
    model = fastitpn.create_model("fastitpn_nano", num_classes=3, img_size=64)
    assert model.load_state_dict(state) == ([], [])
    assert_same_trunk(model, state)
    lost = {name: tensor for name, tensor in state.items() if "w2" not in name}
    with pytest.raises(InputError, match="MISSING"):
        model.load_state_dict(lost)
    missing, unexpected = model.load_state_dict(lost, strict=False)
    assert len(missing) == 12
    assert not unexpected
    with pytest.raises(InputError, match="assign=True with published names"):
        model.load_state_dict(state, assign=True)
    assert model.load_state_dict(model.state_dict(), assign=True) == ([], [])
