"""Small detectors, and pictures of coloured rectangles and discs for them to find."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.tasks.detect.heads.base import Detector
from fastitpn.tasks.detect.model import create_detector

MODEL = {"name": "fastitpn_nano", "arguments": {"img_size": 64, "depths": (1, 1, 2)}}
_RCNN = {"anchor_scale": 4, "box_width": 64, "regions": 32, "proposals": 60}
DETECTORS: dict[str, dict[str, Any]] = {
    "mask_rcnn": {**_RCNN, "mask_width": 16},
    "faster_rcnn": _RCNN,
    "cascade_mask_rcnn": {**_RCNN, "mask_width": 16},
    "dino": {"width": 64, "queries": 20, "denoising": 8, "encoder_layers": 1, "decoder_layers": 2, "ffn_ratio": 2},
    "maskdino": {
        "width": 64,
        "queries": 20,
        "denoising": 8,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "points": 256,
    },
    "mask2former": {"width": 32, "queries": 10, "encoder_layers": 1, "decoder_layers": 2, "points": 256},
}
OBJECTS = (  # height, width, then label and box of each object
    (64, 80, ((0, (4, 6, 34, 40)), (1, (40, 26, 74, 60)))),
    (64, 64, ((1, (4, 20, 30, 56)), (0, (34, 8, 60, 40)))),
)


def picture(height: int, width: int, objects: Any, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    image = 0.2 * torch.randn(3, height, width, generator=generator)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    masks = torch.zeros(len(objects), height, width, dtype=torch.bool)
    for mask, (label, (left, top, right, bottom)) in zip(masks, objects, strict=True):
        across, down = (2 * x - left - right) / (right - left), (2 * y - top - bottom) / (bottom - top)
        mask[:] = across**2 + down**2 <= 1 if label else torch.maximum(across.abs(), down.abs()) <= 1
        image[label, mask] += 2
    boxes = torch.tensor([box for _, box in objects], dtype=torch.float32).reshape(-1, 4)
    labels = torch.tensor([label for label, _ in objects], dtype=torch.int64)
    return image, {"boxes": boxes, "labels": labels, "masks": masks}


@pytest.fixture(scope="session")
def few_scenes(detect_scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes with one to validate on: a network that knows nothing finds 100 objects in each, which takes time."""
    data = shutil.copytree(detect_scenes, tmp_path_factory.mktemp("few_scenes") / "data")
    file = data / "annotations_val.json"
    labels = json.loads(file.read_text())
    labels["images"] = labels["images"][:1]
    labels["annotations"] = [label for label in labels["annotations"] if label["image_id"] == labels["images"][0]["id"]]
    file.write_text(json.dumps(labels))
    return data


@pytest.fixture
def classes() -> DetectionClasses:
    return DetectionClasses(names=("rectangle", "disc"), ids=(7, 3))


@pytest.fixture
def pictures() -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Two images and their targets."""
    generator = torch.Generator().manual_seed(1)
    made = [picture(*objects, generator) for objects in OBJECTS]
    return [image for image, _ in made], [target for _, target in made]


@pytest.fixture(params=list(DETECTORS))
def name(request: pytest.FixtureRequest) -> str:
    """Of each detector."""
    return request.param


@pytest.fixture
def small() -> dict[str, dict[str, Any]]:
    """Arguments of small detectors, and their model."""
    return {"model": MODEL, **DETECTORS}


@pytest.fixture
def create() -> Callable[..., Detector]:
    """Makes a small detector, the same one each time."""

    def make(name: str, num_classes: int = 2, whole_trunk: bool = False, **extra: Any) -> Detector:
        torch.manual_seed(0)
        model = {**MODEL, "arguments": {"img_size": 64}} if whole_trunk else MODEL
        return create_detector(model, {"name": name, "arguments": DETECTORS[name]}, num_classes, **extra)

    return make
