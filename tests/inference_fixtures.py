"""A small classifier, a small pre-training checkpoint, and photographs of different sizes."""

from pathlib import Path
from typing import Any

import pytest
import skimage.data
import torch
from inference_example import CLASSES, MEAN, PX, STD
from PIL import Image

from fastitpn import create_model, create_pretraining_model
from fastitpn.models.backbone import FastITPN
from fastitpn.runs.checkpoint import save_checkpoint

NAMES = ("astronaut", "camera", "chelsea", "coffee", "rocket")


@pytest.fixture(scope="session")
def model() -> FastITPN:
    """A classifier with random weights whose scores differ clearly from image to image."""
    torch.manual_seed(1)
    model = create_model("fastitpn_nano", img_size=PX, num_classes=len(CLASSES))
    with torch.no_grad():
        model.head.weight.mul_(300)
    return model.eval()


@pytest.fixture(scope="session")
def content(model: FastITPN) -> dict[str, Any]:
    """What its checkpoint holds."""
    return {
        "task": "classify",
        "model": {"name": "fastitpn_nano", "arguments": {"img_size": PX, "num_classes": len(CLASSES)}},
        "classes": CLASSES,
        "normalisation": {"mean": MEAN, "std": STD},
        "px": PX,
        "weights": model.state_dict(),
        "config": {},
        "metrics": {},
        "step": 300,
    }


@pytest.fixture(scope="session")
def checkpoint(content: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its file; read only."""
    path = tmp_path_factory.mktemp("checkpoint") / "flowers.ckpt"
    save_checkpoint(path, content)
    return path


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a pre-training; read only."""
    torch.manual_seed(2)
    model = create_pretraining_model("fastitpn_nano", teacher_dim=96, img_size=PX)
    path = tmp_path_factory.mktemp("pretrained") / "last.ckpt"
    description = {"name": "fastitpn_nano", "arguments": {"img_size": PX, "teacher_dim": 96}}
    save_checkpoint(
        path,
        {
            "task": "pretrain",
            "model": description,
            "classes": None,
            "normalisation": {"mean": MEAN, "std": STD},
            "px": PX,
            "weights": model.state_dict(),
            "step": 7,
        },
    )
    return path


@pytest.fixture(scope="session")
def photos() -> dict[str, Image.Image]:
    """Photographs of different shapes, one of them gray."""
    sides = ((120, 90), (64, 64), (90, 120), (200, 40), (33, 75))
    pictures = (Image.fromarray(getattr(skimage.data, name)()) for name in NAMES)
    return {name: picture.resize(size) for name, picture, size in zip(NAMES, pictures, sides, strict=True)}


@pytest.fixture
def folder(photos: dict[str, Image.Image], tmp_path: Path) -> Path:
    """The photographs as files, two of them in a sub-folder."""
    for number, (name, picture) in enumerate(photos.items()):
        path = tmp_path / "photos" / ("near" if number < 3 else "far/away") / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path)
    return tmp_path / "photos"


class Code:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.fixture
def malicious(tmp_path: Path, content: dict[str, Any]) -> tuple[Path, Path]:
    """A checkpoint with code in it, and the file that appears if the code is run."""
    trace = tmp_path / "code-was-run"
    torch.save({"format": "fastitpn-1", **content, "metrics": Code(trace)}, tmp_path / "malicious.ckpt")
    return tmp_path / "malicious.ckpt", trace
