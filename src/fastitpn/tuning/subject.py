"""A trained model with images: how fast it is with a setting, and what it loses, can be measured."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastitpn.benchmarking.conditions import Conditions
from fastitpn.data.images.decode import read_image
from fastitpn.data.images.reading import settle_range
from fastitpn.models.acceleration.settings import PRESETS, Acceleration
from fastitpn.models.layers.cells import PATCH
from fastitpn.runs.trained_model import Trained, TrainedCheckpoint
from fastitpn.tasks.keys import EvaluateConfig
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.spec import TaskSpec
from fastitpn.training.processes.devices import build_fabric, resolve_precision
from fastitpn.tuning.quality import Quality
from fastitpn.tuning.speed import EagerSpeed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Subject:
    """What is measured.

    Attributes:
        spec: Task of the model.
        trained: The model, whose acceleration is switched.
        own: The acceleration that its checkpoint has.
        quality: Measures what is lost.
        files: Those of the images on which quality is measured; empty where a task does not say.
        images: [1, 3, H, W], an image as a prediction sees it.
        conditions: Device and precision.
    """

    spec: TaskSpec[Any, Any, Any]
    trained: Trained[Any, Any]
    own: Acceleration
    quality: Quality
    files: list[Path]
    images: Tensor
    conditions: Conditions

    @property
    def grid(self) -> tuple[int, int]:
        """Patches per column and per row."""
        return self.images.shape[-2] // PATCH, self.images.shape[-1] // PATCH

    def eager_speed(self) -> EagerSpeed:
        """Measures speed in PyTorch, of what an export would hold."""
        device = torch.device(self.conditions.device)
        network = self.spec.exportable(self.trained).network.eval().to(device)
        return EagerSpeed(network, self.trained.backbone, self.images.to(device), self.conditions)


def open_subject(checkpoint: TrainedCheckpoint, keys: EvaluateConfig, *, seed: int) -> Subject:
    """Build the model, and read and check its images.

    Args:
        checkpoint: The model's.
        keys: How to look at the images, and where.
        seed: Decides which images come first.

    Raises:
        InputError: The model takes no acceleration, or the images or the keys are wrong.
    """
    checkpoint.check_weights()
    spec: TaskSpec[Any, Any, Any] = TASKS.spec_of(checkpoint.task, checkpoint.path)
    trained = spec.resized(load_trained(checkpoint), keys)
    before, backbone = trained.acceleration, trained.backbone
    fast = PRESETS["fast"]
    backbone.set_acceleration(fast if not backbone.has_class_token else Acceleration(migration=fast.migration))
    settle_range(keys.image, (), trained.about.pixel_range)
    images = spec.evaluation_images(keys, trained)
    files = list(spec.image_files(images))
    settle_range(keys.image, files, trained.about.pixel_range)
    fabric = build_fabric(keys.device, precision=keys.precision)
    px = trained.about.px
    return Subject(
        spec=spec,
        trained=trained,
        own=before,
        quality=Quality(spec, trained, images, fabric, keys, seed=seed),
        files=files,
        images=spec.look(trained.about)(read_image(files[0])) if files else torch.zeros(1, 3, px, px),
        conditions=Conditions(
            device=str(fabric.device), precision=resolve_precision(keys.precision, fabric.device.type)
        ),
    )
