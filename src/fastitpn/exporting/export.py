"""A model in a form that other software runs, compared with the model before it is kept."""

import itertools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastitpn.console import say
from fastitpn.exporting.calibration import find_calibration
from fastitpn.exporting.config import GATED, ExportConfig
from fastitpn.exporting.description import describe, write_json
from fastitpn.exporting.dynamic import choose_shapes
from fastitpn.exporting.example import EXAMPLES, example_script
from fastitpn.exporting.folder import export_folder
from fastitpn.exporting.formats.base import ExportFormat
from fastitpn.exporting.int8 import quantise, too_much
from fastitpn.exporting.loss import Judge, Loss
from fastitpn.exporting.network import Graph
from fastitpn.exporting.parity import TOLERANCES, Parity, ParityError, compare
from fastitpn.exporting.pictures import COMPARED, Pictures, find_pictures
from fastitpn.exporting.quality import measure_quality
from fastitpn.exporting.runner import Runner
from fastitpn.exporting.shapes import Shapes
from fastitpn.exporting.subject import Subject
from fastitpn.files import is_disk_full, write_text
from fastitpn.listing import children
from fastitpn.runs.exported_folder import DESCRIPTION

EXAMPLE = "run.py"
FEATURES_EXAMPLE = EXAMPLES / "features.py"


def export_file(format_: ExportFormat, config: ExportConfig, subject: Subject) -> Path:
    """Export a model to a file; what differs from it is not kept.

    Returns:
        The folder.

    Raises:
        InputError: A key or the folder is wrong.
        ParityError: The file cannot be made, or does not do what the model does.
    """
    choices = choose_shapes(format_, config, subject)
    pictures = find_pictures(config, subject)
    compared = pictures if config.limit is not None else pictures.spread(COMPARED)
    calibration = None
    if config.precision == "int8":
        calibration = find_calibration(config, subject, needed=not format_.dynamic_int8)
    with export_folder(config.out) as folder, tempfile.TemporaryDirectory() as scratch:
        file = folder / format_.file
        measured: dict[str, Any] = {}
        loss: Loss | None
        if config.precision == "int8":
            exact = Path(scratch) / format_.file
            shapes, _, _ = _first_that_works(format_, exact, subject, compared, choices, config)
            judge = Judge(subject, pictures, shapes)
            result = quantise(format_, exact, file, subject, shapes, calibration, judge, config)
            run, loss = result.run, result.loss
            parity = compare(subject.network, run, compared, shapes)
            measured["int8"] = result.about
        else:
            shapes, parity, run = _first_that_works(format_, file, subject, compared, choices, config)
            loss = Judge(subject, pictures, shapes).measure(run) if config.precision in GATED else None
            if loss is not None and not loss.points <= config.max_loss:
                raise too_much(loss, config)
        measured["loss"] = loss and loss.to_json(config.max_loss)
        measured["quality"] = loss.quality if loss else measure_quality(subject, run, pictures, shapes)
        about = describe(config, subject, shapes, file, parity, {**format_.options(config), **measured})
        write_json(folder / DESCRIPTION, about)
        example = subject.whole.example if subject.whole is not None else FEATURES_EXAMPLE
        if format_.example and example is not None:
            write_text(folder / EXAMPLE, example_script(example, format_))
    _report(config, subject, about, file.name, parity, loss)
    return config.out


def _first_that_works(
    format_: ExportFormat,
    file: Path,
    subject: Subject,
    pictures: Pictures,
    choices: Sequence[Shapes],
    config: ExportConfig,
) -> tuple[Shapes, Parity, Runner]:
    """Write a file for the first sizes that it can be made for."""
    for shapes, narrower in itertools.pairwise(choices):
        try:
            return shapes, *_written(format_, file, subject, pictures, shapes, config)
        except ParityError:
            say(f"this model cannot be exported with dynamic={shapes.dynamic}: with dynamic={narrower.dynamic} then")
    return choices[-1], *_written(format_, file, subject, pictures, choices[-1], config)


def _written(
    format_: ExportFormat, file: Path, subject: Subject, pictures: Pictures, shapes: Shapes, config: ExportConfig
) -> tuple[Parity, Runner]:
    """Write a file, open it and let it through, or raise."""
    precision = config.precision
    graph = Graph(subject.network, precision, half_weights=format_.half_weights)
    try:
        format_.write(graph, shapes, file, **format_.options(config))
        run = format_.open(file)
    except Exception as error:  # of PyTorch, the exporters or the runtime, in many classes
        if is_disk_full(error, file.parent):
            raise
        reason = " ".join(str(error).split())[:300]
        raise ParityError(
            f"this model cannot be exported so: {type(error).__name__}: {reason}\n"
            f"  fix:        dynamic=off, or another format (nothing was written)"
        ) from error
    parity = compare(subject.network, run, pictures, shapes)
    parity.check(TOLERANCES["fp32" if precision == "int8" else precision])
    return parity, run


def _report(
    config: ExportConfig, subject: Subject, about: dict[str, Any], file: str, parity: Parity, loss: Loss | None
) -> None:
    say(
        f"{file}: differs from the model by {parity.difference:.1e} relative at most; decisions: "
        f"{parity.same_in_words} (on {parity.pictures})"
    )
    say(f"takes images [{', '.join(map(str, about['input']['shape']))}]: dynamic={about['input']['dynamic']}")
    if int8 := about.get("int8"):
        say(f"int8: {int8['size']:.2f} times the size, {int8['speed_up']:.2f} times the speed of fp32 on this CPU")
    if (quality := about.get("quality")) and subject.whole is not None:
        for metric in subject.whole.metrics:
            if values := quality["metrics"].get(metric.name):
                unit = f" {metric.unit_in_words}" * bool(metric.unit)
                text = f"{metric.name}: {values['file']:.2f}{unit}, the model {values['model']:.2f}"
                say(f"{text} (on {quality['images']})")
    if loss is not None:
        kept = ", ".join(about.get("int8", {}).get("in_fp32", ())) or "nothing"
        left = f"; in fp32: {kept}" * (config.precision == "int8")
        say(f"{config.precision} loses {loss.in_words()}, max_loss={config.max_loss:g}{left}")
    for line in subject.whole.notes(config, subject.px) if subject.whole is not None else ():
        say(line)
    files = ", ".join(sorted(path.name for path in children(config.out)))
    say(f"written: {config.out} ({files})")
