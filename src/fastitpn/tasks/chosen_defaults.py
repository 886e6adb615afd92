"""Defaults that fit the data and the device: few images, a short run and a CPU each ask for other values.

A key that was given is never touched, and a run that is continued keeps the values that it began with.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from fastitpn.config.fields import given_keys, replaced
from fastitpn.config.stored_settings import stored_config
from fastitpn.config.values import show
from fastitpn.models.architecture import ARCHITECTURES
from fastitpn.runs.run import CONFIG, Run
from fastitpn.tasks.keys import FinetuneConfig
from fastitpn.training.config import TrainingConfig
from fastitpn.training.setup import check_model, global_batch, total_steps

ConfigT = TypeVar("ConfigT", bound=FinetuneConfig)
StoredT = TypeVar("StoredT", bound=TrainingConfig)

LARGE = 50_000
"""From so many training images on, an accelerator trains with the defaults as they are listed."""
FEW = 10_000
"""Below so many, strong augmentation hides more than a run has time to teach."""
VERY_FEW = 1000
"""Below so many, smaller batches make more steps of the same epochs."""
LEAST_STEPS = 500
"""Steps of the optimiser that a fresh head needs; few images are seen more often for that."""
CPU_MODEL = "fastitpn_nano"
CPU_IMAGES, CPU_LEAST_EPOCHS = 30_000, 10
"""Images that a shortened run on a CPU sees, over all its epochs, and its fewest epochs."""
EMA_LEAST_STEPS, EMA_SHARE = 1000, 0.1
"""Runs of fewer steps have no moving average; that of the others spans at most this share of the run."""
WARMUP_SHARE = 0.1
"""Share of the epochs that the warm-up takes at most."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SuitedDefaults:
    """What one task takes where its listed defaults do not fit.

    Attributes:
        few_images: Key to value, for data sets of fewer than `FEW` images.
        very_few_images: Key to value, for data sets of fewer than `VERY_FEW`.
        cpu_px: Side of the input on a CPU, in pixels.
        short_on_cpu: Whether a run on a CPU is shortened to `CPU_IMAGES`.
    """

    few_images: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    very_few_images: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    cpu_px: int = 224
    short_on_cpu: bool = False


def choose_defaults(
    config: ConfigT, suited: SuitedDefaults, num_images: int, *, on_cpu: bool
) -> tuple[ConfigT, str | None]:
    """Chooses values for keys that were not given.

    Args:
        config: Keys of the fine-tuning.
        suited: Values of its task.
        num_images: Images to learn from.
        on_cpu: Whether there is no accelerator.

    Returns:
        The configuration, and a line that says what was chosen and why; None if nothing was.
    """
    if config.defaults == "fixed" or (num_images >= LARGE and not on_cpu):
        return config, None
    if config.model is not None:
        check_model(config.model)
    choices = _Choices(config)
    before = begun_before(config)
    if before is not None:
        choices.take("", {key: getattr(before, key) for key in (*_CHOSEN, *suited.few_images, *suited.very_few_images)})
        return choices.config, None
    if on_cpu and config.weights is None:
        choices.take("a CPU", {"model": CPU_MODEL})
        if config.model is None or ARCHITECTURES[config.model].px > suited.cpu_px:
            choices.take("a CPU", {"px": suited.cpu_px})
    if num_images < FEW:
        choices.take("few images", suited.few_images)
    if num_images < VERY_FEW:
        choices.take("few images", suited.very_few_images)
    choices.take(*_length(choices.config, suited, num_images, on_cpu=on_cpu))
    now = choices.config
    if now.epochs is not None:
        longer = round(now.epochs / (config.epochs or now.epochs))
        choices.take("more epochs", {"eval_every_epochs": config.eval_every_epochs * max(1, longer)})
        if config.warmup_epochs is not None:
            choices.take("a short run", {"warmup_epochs": min(config.warmup_epochs, WARMUP_SHARE * now.epochs)})
    if config.ema is not None:
        steps = total_steps(now, num_images)
        decay = round(min(config.ema, 1 - 1 / (EMA_SHARE * steps)), 6) if steps >= EMA_LEAST_STEPS else None
        choices.take(f"{steps} steps", {"ema": decay})
    return choices.config, choices.line(num_images, "a CPU" if on_cpu else "an accelerator")


_CHOSEN = ("model", "px", "epochs", "warmup_epochs", "eval_every_epochs", "ema")
"""Keys that may be chosen, beside those for few images."""
_INSTEAD = {"epochs": "steps", "warmup_epochs": "warmup_steps"}


class _Choices:
    """A configuration whose free keys get values, each for a reason."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self._given = given_keys(config)
        self._reasons: dict[str, list[str]] = {}

    def take(self, reason: str, values: Mapping[str, Any]) -> None:
        """Sets those keys that nobody gave."""
        free = {
            key: value
            for key, value in values.items()
            if key not in self._given
            and getattr(self.config, _INSTEAD.get(key, key)) in (None, getattr(self.config, key))
            and getattr(self.config, key) != value
        }
        if free:
            self.config = replaced(self.config, **free)
            self._reasons.setdefault(reason, []).extend(f"{key}={_typed(value)}" for key, value in free.items())

    def line(self, num_images: int, device: str) -> str | None:
        """What was chosen and why."""
        if not self._reasons:
            return None
        parts = "; ".join(f"{' '.join(words)} ({reason})" for reason, words in self._reasons.items())
        return f"chosen for {num_images} images on {device}: {parts}; any key overrides"


def _typed(value: Any) -> str:
    """A value as one would type it, without the `.0` of whole numbers."""
    if isinstance(value, tuple):
        return ",".join(map(_typed, value))
    return f"{value:g}" if isinstance(value, float) else show(value)


def _length(
    config: FinetuneConfig, suited: SuitedDefaults, num_images: int, *, on_cpu: bool
) -> tuple[str, dict[str, float]]:
    """Why, and how many epochs."""
    if config.epochs is None:
        return "", {}
    most = max(CPU_LEAST_EPOCHS, CPU_IMAGES // num_images)
    least = math.ceil(LEAST_STEPS * global_batch(config) / num_images)
    if on_cpu and suited.short_on_cpu and config.epochs > most:
        return "a CPU", {"epochs": float(most)}
    if least > config.epochs:
        return f"at least {LEAST_STEPS} steps", {"epochs": float(least)}
    return "", {}


def begun_before(config: StoredT) -> StoredT | None:
    """The settings of the run that is continued; None if this one is new."""
    if not (config.out / CONFIG).is_file():
        return None
    return stored_config(type(config), Run(config.out).config)
