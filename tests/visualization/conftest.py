"""Photographs, and the checkpoint of a classifier with random weights."""

from pathlib import Path

import pytest
import skimage.data
import torch
from PIL import Image

import fastitpn
from fastitpn.models.acceleration.settings import PRESETS
from fastitpn.runs.checkpoint import save_checkpoint

PX = 96


@pytest.fixture(scope="session")
def saved() -> dict[str, object]:
    """What a checkpoint holds, of a model of 6x6 tokens that learnt with "fast"."""
    torch.manual_seed(0)
    model = fastitpn.create_model("fastitpn_nano", img_size=PX, num_classes=2)
    return {
        "task": "classify",
        "model": {"name": "fastitpn_nano", "arguments": {"img_size": PX, "num_classes": 2}},
        "classes": ["cat", "coffee"],
        "normalisation": {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]},
        "px": PX,
        "acceleration": PRESETS["fast"].to_dict(),
        "weights": model.state_dict(),
        "step": 1,
    }


@pytest.fixture
def checkpoint(saved, tmp_path) -> Path:
    """Its file."""
    save_checkpoint(tmp_path / "fast.ckpt", saved)
    return tmp_path / "fast.ckpt"


@pytest.fixture
def plain(saved, tmp_path) -> Path:
    """The same, of an older version."""
    save_checkpoint(tmp_path / "plain.ckpt", {key: value for key, value in saved.items() if key != "acceleration"})
    return tmp_path / "plain.ckpt"


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two of them, one in a sub-folder."""
    for name in ("chelsea", "drinks/coffee"):
        path = tmp_path / "photos" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(getattr(skimage.data, path.stem)()).resize((150, 100)).save(path)
    return tmp_path / "photos"
