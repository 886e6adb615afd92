"""What a training says that it will do, before its first step."""

from typing import TYPE_CHECKING

from fastitpn.config.values import show
from fastitpn.training.config import TrainingConfig
from fastitpn.training.processes.devices import resolve_precision
from fastitpn.training.setup import global_batch, total_steps

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_FAST_MODEL, _FAST_PX = "fastitpn_nano", 128


def describe_plan(
    config: TrainingConfig, *, model: str, px: int | tuple[int, ...], num_images: int, fabric: "Fabric"
) -> str:
    """One line: model, image size, length, batch, device and folder.

    Args:
        config: Keys of the run, with what was chosen for it.
        model: Name of the model.
        px: Image size in pixels, or the sizes that steps are drawn from.
        num_images: Images to learn from.
        fabric: Devices and precision of the run.
    """
    steps, batch = total_steps(config, num_images), global_batch(config)
    epochs = steps * batch / num_images if config.epochs is None else config.epochs
    factors = {"batch": config.batch, "accumulate": config.accumulate, "devices": config.devices * config.nodes}
    parts = " x ".join(f"{name} {count}" for name, count in factors.items() if name == "batch" or count > 1)
    return (
        f"{model} at {show(px)} px, {epochs:.4g} epoch{'s' * (epochs != 1)} = {steps:,} steps of {batch} images "
        f"({parts}), on {fabric.device.type} ({resolve_precision(config.precision, fabric.device.type)}); "
        f"out={config.out}"
    )


def faster_keys(config: TrainingConfig, *, model: str, px: int) -> str:
    """What to type for faster steps; "" if the model and its images are small already.

    Args:
        config: Keys of the run.
        model: Name of the model.
        px: Side of its images in pixels.
    """
    keys = [f"px={_FAST_PX}"] if px > _FAST_PX else []
    if model != _FAST_MODEL and config.weights is None:
        keys.append(f"model={_FAST_MODEL}")
    return " ".join(keys)
