"""What all trainings set up alike: the length of the run, and the model's start."""

import logging
import math
from pathlib import Path
from typing import Any

from torch import nn

from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.models.architecture import ARCHITECTURES
from fastitpn.models.weights.file import WeightsFile, read_weights
from fastitpn.models.weights.loading import FAMILIES, load_weights
from fastitpn.models.weights.report import LoadReport
from fastitpn.nearest import nearest_name
from fastitpn.training.config import TrainingConfig
from fastitpn.training.seeding import seed_step
from fastitpn.training.settings import FitSettings

logger = logging.getLogger(__name__)

LONGEST_WARMUP = 0.2
"""Share of a run that the warm-up takes at most, where it was not given in steps."""


def global_batch(config: TrainingConfig) -> int:
    """Images of one optimiser step over all devices."""
    return config.batch * config.accumulate * config.devices * config.nodes


def total_steps(config: TrainingConfig, num_samples: int) -> int:
    """Optimiser steps of the run."""
    if config.steps is not None:
        return config.steps
    assert config.epochs is not None
    return steps_between(config.epochs, config, num_samples)


def warmup_steps(config: TrainingConfig, num_samples: int, steps: int, *, schedule: str = "cosine") -> int:
    """Steps of the warm-up; one given in epochs is shortened for short runs, and the log says so.

    That of a constant schedule is not, since such a run may be made longer.
    """
    if config.warmup_steps is not None:
        return min(config.warmup_steps, steps)
    assert config.warmup_epochs is not None
    wanted = round(config.warmup_epochs * num_samples / global_batch(config))
    longest = steps if schedule == "constant" else int(LONGEST_WARMUP * steps)
    if wanted > longest:
        logger.info("the warm-up of %g epochs is shortened to %s of %s steps", config.warmup_epochs, longest, steps)
    return min(wanted, longest)


def steps_between(epochs: float, config: TrainingConfig, num_samples: int) -> int:
    """Optimiser steps of so many epochs, at least one."""
    return max(1, math.ceil(epochs * num_samples / global_batch(config)))


def fit_settings(config: TrainingConfig, num_samples: int, **extra: Any) -> FitSettings:
    """The engine's numbers for a configuration; `extra` are those of one task."""
    steps = total_steps(config, num_samples)
    return FitSettings(
        steps=steps,
        warmup_steps=warmup_steps(config, num_samples, steps, schedule=extra.get("schedule", "cosine")),
        lr=config.lr,
        min_lr=config.min_lr,
        weight_decay=config.weight_decay,
        betas=config.betas,
        clip_grad=config.clip_grad,
        accumulate=config.accumulate,
        checkpoint_every=config.checkpoint_every,
        keep_checkpoints=config.keep_checkpoints,
        log_every=config.log_every,
        seed=config.seed,
        max_minutes=config.max_minutes,
        compile=config.compile,
        grad_checkpointing=config.grad_checkpointing,
        loggers=config.loggers,
        **extra,
    )


def seed_start(seed: int) -> None:
    """Makes start values depend on the seed alone."""
    seed_step(seed, -1, 0)


def check_model(name: str, file: WeightsFile | None = None) -> None:
    """Makes sure that there is such a model, of the family of the weights that it is to take.

    Raises:
        InputError: With the nearest name, or that of the weights.
    """
    if name not in ARCHITECTURES:
        ours = f"fastitpn_{name}"
        near = ours if ours in ARCHITECTURES else nearest_name(name, ARCHITECTURES) or nearest_name(ours, ARCHITECTURES)
        raise InputError(
            f"there is no model {name!r}",
            where="model",
            expected=", ".join(ARCHITECTURES),
            fix=f"model={near or 'fastitpn_tiny'}",
        )
    family = ARCHITECTURES[name].family
    if file is not None and file.family != family:
        raise InputError(
            f"these are weights of {file.model or 'a size without a name'} ({FAMILIES[file.family]}), "
            f"and {name} is of another family ({FAMILIES[family]})",
            where=file.source,
            expected=f"weights of {FAMILIES[family]}",
            fix=f"model={file.model}" if file.model else f"weights=FILE of {name}",
        )


def arguments_of(file: WeightsFile, asked: str | None, blocks: str | None) -> dict[str, Any]:
    """Arguments of the model that weights belong to.

    Args:
        file: The weights.
        asked: Name of the model, where one was asked for: it has as many blocks as that name says.
        blocks: The blocks that were asked for: then it has those.
    """
    arguments = file.arguments()
    if asked is not None and file.model is None and blocks is None:
        arguments.pop("depths", None)
    return arguments


def start_from(
    model: nn.Module,
    weights: Path | WeightsFile,
    *,
    name: str,
    fix: str,
    strict: bool = True,
    fresh_pyramid: bool = False,
) -> LoadReport:
    """Load weights and say what became of them.

    Args:
        model: The model whose parameters are filled.
        weights: File or run directory, or what was read from it.
        name: Name of the model's size.
        fix: What to type if weights of the same architecture do not fit.
        strict: See `load_weights`.
        fresh_pyramid: See `load_weights`.

    Raises:
        InputError: They cannot be read or do not fit.
    """
    file = weights if isinstance(weights, WeightsFile) else read_weights(weights)
    try:
        report = load_weights(model, file, strict=strict, fresh_pyramid=fresh_pyramid)
    except InputError as error:
        if file.model not in (None, name):
            fix = f"model={file.model}, or weights=FILE of {name}"
        elif file.size is not None and "depths=" in error.what:
            fix = f"leave out model={name}: the weights say which it is"
        elif (plain := min(file.experts, default=1) - 1) > 0:
            fix = f"blocks=1-{plain}, which have no experts"
        raise InputError(error.what, where=error.where, expected=error.expected, fix=fix) from None
    logger.info("%s: %s", file.source, report.verdict)
    say(f"{file.source}: {report.verdict}")
    return report
