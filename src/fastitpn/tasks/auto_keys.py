"""Keys that are `auto`: what they stand for in a run, which its `config.yaml` then says."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from fastitpn.config.fields import fields_of, given_keys, replaced
from fastitpn.config.values import is_auto
from fastitpn.console import say
from fastitpn.data.datasets import Sample, SeededDataset
from fastitpn.errors import InputError
from fastitpn.tasks.chosen_defaults import begun_before
from fastitpn.training.auto_batch import divisors, largest_batch
from fastitpn.training.config import TrainingConfig
from fastitpn.training.processes.devices import accelerator_of, resolve_precision
from fastitpn.training.published_rate import PublishedRate, rate_for
from fastitpn.training.setup import global_batch
from fastitpn.training.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

ConfigT = TypeVar("ConfigT", bound=TrainingConfig)


def with_listed_batch(config: ConfigT) -> tuple[ConfigT, bool]:
    """The configuration with the listed batch in place of `batch=auto`, and whether one that fits is to be found.

    A run that goes on keeps the batch that it found.
    """
    if not is_auto(config.batch):
        return config, False
    before = begun_before(config)
    if before is not None:
        return replaced(config, batch=before.batch, accumulate=before.accumulate), False
    return replaced(config, forget="batch", batch=fields_of(config)["batch"].default), True


def with_device(config: ConfigT) -> ConfigT:
    """The configuration with the device and the precision of the run in place of `auto`.

    A run that goes on keeps its precision where nobody typed one and the device has it; its device may be another.

    Raises:
        InputError: There is no such device or precision here.
    """
    device = accelerator_of(config.device) if config.device == "auto" else config.device
    precision, accelerator = config.precision, accelerator_of(device)
    before = begun_before(config) if "precision" not in given_keys(config) else None
    if before is not None and not (before.precision == "16-mixed" and accelerator == "cpu"):
        precision = before.precision
    return replaced(config, device=device, precision=resolve_precision(precision, accelerator))


def with_fitting_batch(
    config: ConfigT,
    task: Task,
    dataset: SeededDataset,
    to_batch: Callable[[list[Sample]], dict[str, Any]],
    fabric: "Fabric",
) -> ConfigT:
    """The configuration with the largest micro-batch that fits; `accumulate` keeps the images of a step.

    Args:
        config: With the batch that a device is to learn from in one step.
        task: With its start weights.
        dataset: What the training loads.
        to_batch: Makes a batch of samples.
        fabric: Devices and precision of the run.

    Raises:
        InputError: Not even the smallest fits.
    """
    images = config.batch * config.accumulate
    sizes = [
        size
        for size in divisors(images)
        if not replaced(config, batch=size, accumulate=images // size).problems()  # such as mixup's even numbers
    ]
    count = len(dataset)

    def make_batch(size: int) -> dict[str, Any]:
        return to_batch([dataset[0, place % count] for place in range(size)])

    batch = largest_batch(task, make_batch, sizes, fabric)
    accumulate = images // batch
    say(f"batch=auto: batch={batch} accumulate={accumulate}, {images} images of a step on each device")
    return replaced(config, batch=batch, accumulate=accumulate)


def with_published_rate(
    config: ConfigT, model: str, rates: Mapping[str, PublishedRate], *, untrained: bool = False
) -> ConfigT:
    """The configuration with a number in place of `lr=auto`.

    Args:
        config: With the batch of the run.
        model: Name of the model.
        rates: What was published for the task, see `rate_for`; empty if nothing was.
        untrained: Whether the rates are those of pre-trained weights, and these are random ones.

    Raises:
        InputError: Nothing was.
    """
    if not is_auto(config.lr):
        return config
    if not rates:
        raise InputError("lr=auto: no learning rate is published for this task", where="lr", fix="lr=1e-4")
    rate, images = rate_for(model, rates), global_batch(config)
    lr = rate.at(images)
    say(f"lr=auto: lr={lr:g} for {images} images a step, in proportion to the published {rate.lr:g} for {rate.images}")
    if untrained:
        say("lr=auto: that rate is for pre-trained weights; random ones hardly learn with it (leave lr out)")
    return replaced(config, lr=lr, min_lr=min(config.min_lr, lr))
