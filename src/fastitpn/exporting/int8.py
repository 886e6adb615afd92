"""int8: quantised as much as the loss allows."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.exporting.attempts import Attempt, attempts
from fastitpn.exporting.calibration import Calibration
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.formats.base import ExportFormat
from fastitpn.exporting.loss import Judge, Loss
from fastitpn.exporting.parity import ParityError
from fastitpn.exporting.quality import speed_up
from fastitpn.exporting.runner import Runner
from fastitpn.exporting.shapes import Shapes
from fastitpn.exporting.subject import Subject
from fastitpn.listing import matching


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """A file in int8 that loses no more than it may.

    Attributes:
        run: Runs it.
        loss: What it loses.
        about: What `model.json` says of it.
    """

    run: Runner
    loss: Loss
    about: dict[str, Any]


def quantise(
    format_: ExportFormat,
    exact: Path,
    file: Path,
    subject: Subject,
    shapes: Shapes,
    calibration: Calibration | None,
    judge: Judge,
    config: ExportConfig,
) -> Quantised:
    """Write `file` from the file in fp32, with as little in fp32 as `max_loss` allows.

    Raises:
        InputError: All that was tried loses more.
        ParityError: The runtime cannot quantise this graph.
    """
    images = [] if calibration is None else calibration.batches(shapes)
    if calibration is not None:
        say(f"int8: scales from {calibration.pictures.source}")
    else:
        say("int8: every input gets its scales; calibrate=FOLDER computes them from images like those to predict")
    losses: list[Loss] = []
    for attempt in attempts(format_, subject, calibrated=calibration is not None):
        run = _written(format_, exact, file, attempt, images)
        loss = judge.measure(run)
        losses.append(loss)
        if loss.points <= config.max_loss:
            about = {
                "size": _size(file) / _size(exact),
                "speed_up": speed_up((run, format_.open(exact)), judge.images[: shapes.batches[0]]),
                "activations": "scales of the calibration" if attempt.static else "scales for each input",
                "calibration": None if calibration is None or not attempt.static else calibration.to_json(),
                "in_fp32": list(attempt.kept),
            }
            return Quantised(run=run, loss=loss, about=about)
        say(f"{attempt.in_words()}: loses {loss.in_words()}, more than max_loss={config.max_loss:g}")
    raise too_much(min(losses, key=lambda loss: loss.points), config)


def too_much(loss: Loss, config: ExportConfig) -> InputError:
    """What is said where nothing loses as little as it has to."""
    near = math.ceil(loss.points * 10) / 10 if math.isfinite(loss.points) else None
    other = "fp16" if config.precision == "int8" else "fp32"
    return InputError(
        f"{config.precision} loses {loss.in_words()} at least, so nothing was written",
        where="max_loss",
        expected=f"at most {config.max_loss:g}",
        fix=f"max_loss={near:g}, or precision={other}" if near is not None else f"precision={other}",
    )


def _written(format_: ExportFormat, exact: Path, file: Path, attempt: Attempt, images: list[Any]) -> Runner:
    run: Callable[..., Any]
    try:
        format_.quantise(exact, file, attempt, images)
        run = format_.open(file)
    except Exception as error:  # of the runtimes, in many classes
        reason = " ".join(str(error).split())[:300]
        raise ParityError(
            f"this model cannot be quantised so: {type(error).__name__}: {reason}\n"
            f"  fix:        precision=fp32, or another format (nothing was written)"
        ) from error
    return run


def _size(file: Path) -> int:
    """Bytes of a model, with the weights that lie beside it."""
    return sum(path.stat().st_size for path in matching(file.parent, f"{file.stem}.*"))
