"""What the chosen setting loses on test images, on which nothing was chosen."""

import dataclasses
from typing import Any

from fastitpn.errors import InputError
from fastitpn.runs.trained_model import Trained
from fastitpn.tasks.keys import EvaluateConfig
from fastitpn.training.processes.devices import build_fabric
from fastitpn.tuning.loss import Loss
from fastitpn.tuning.quality import Quality
from fastitpn.tuning.subject import Subject

FEWEST = 12
"""Test images that are looked at even if the time is over."""


def loss_on_test(
    subject: Subject, chosen: Trained[Any, Any], keys: EvaluateConfig, *, seconds: float, seed: int
) -> Loss | None:
    """What the chosen setting loses on the part `test` of the data, as far as the time goes.

    Args:
        subject: The model and the images on which the setting was chosen.
        chosen: The model as it was written, with its setting.
        keys: How to look at the images.
        seconds: Time that is left.
        seed: Decides which images come first.

    Returns:
        None where the data has no such part, or the setting was chosen on it.
    """
    spec = subject.spec
    if keys.split not in (None, "val"):
        return None
    keys = dataclasses.replace(keys, split="test")
    try:
        images = spec.evaluation_images(keys, subject.trained)
    except InputError:  # there is no such part
        return None
    if list(spec.image_files(images)) == subject.files:
        return None
    fabric = build_fabric(keys.device, precision=keys.precision)
    quality = Quality(spec, subject.trained, images, fabric, keys, seed=seed)
    affordable = int(seconds / max(2 * subject.quality.seconds_per_image, 1e-9))
    return quality.loss(chosen.acceleration, min(len(images), max(FEWEST, affordable)), chosen)
