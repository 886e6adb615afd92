"""`fastitpn export`: a model in a form that other software runs, compared with the model before it is kept."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.description import describe, write_json
from fastitpn.exporting.folder import DESCRIPTION, new_folder
from fastitpn.exporting.hub import write_hub
from fastitpn.exporting.networks import Detect, Graph
from fastitpn.exporting.onnx_file import Runner, check_installed, open_onnx, quantise, write_onnx
from fastitpn.exporting.parity import TOLERANCES, Parity, ParityError, compare
from fastitpn.exporting.pictures import Pictures, find_pictures
from fastitpn.exporting.quality import measure_quality, speed_up
from fastitpn.exporting.shapes import PATCH, Shapes
from fastitpn.exporting.subject import Subject, load_subject
from fastitpn.exporting.torch_files import (
    open_torch_export,
    open_torchscript,
    write_torch_export,
    write_torchscript,
)

EXAMPLE = "run.py"


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of file.

    Attributes:
        file: Its name.
        write: From a graph and its shapes.
        open: To run it.
    """

    file: str
    write: Callable[[Graph, Shapes, Path], None]
    open: Callable[[Path], Runner]


FORMS = {
    "onnx": Form(file="model.onnx", write=write_onnx, open=open_onnx),
    "torch_export": Form(file="model.pt2", write=write_torch_export, open=open_torch_export),
    "torchscript": Form(file="model.pt", write=write_torchscript, open=open_torchscript),
}
"""By the name that `format=` takes."""


def run_export(config: ExportConfig) -> Path:
    """Export a model; what differs from it is not kept.

    Returns:
        The folder.

    Raises:
        InputError: The checkpoint, a key or the folder is wrong.
        ParityError: The file cannot be made, or does not do what the model does.
    """
    if config.format == "onnx":
        check_installed()
    subject = load_subject(config)
    if config.format == "hub":
        return write_hub(config, subject)
    shapes = _shapes(config, subject)
    pictures = find_pictures(config, subject)
    form = FORMS[config.format]
    with new_folder(config.out) as folder:
        file = folder / form.file
        parity, run = _written(form, file, subject, pictures, shapes, config.precision)
        figures: dict[str, Any] = {}
        if config.precision == "int8":
            parity, run, figures["int8"] = _quantised(form, file, subject, pictures, shapes)
        figures["quality"] = measure_quality(subject, run, pictures, shapes)
        about = describe(config, subject, shapes, file.name, parity, figures)
        write_json(folder / DESCRIPTION, about)
        if config.format == "onnx":
            example = resources.files("fastitpn.exporting") / "examples" / f"{subject.task}.py"
            (folder / EXAMPLE).write_text(example.read_text(encoding="utf-8"), encoding="utf-8")
    _report(config, about, form, parity)
    return config.out


def _shapes(config: ExportConfig, subject: Subject) -> Shapes:
    """The sizes of a file.

    Raises:
        InputError: Its height and width cannot be left open.
    """
    fewest = 2
    if isinstance(subject.network, Detect) and subject.network.one_by_one:
        if config.format != "onnx" or config.dynamic != "off" or config.batch != 1:
            raise InputError(
                f"a {subject.head} looks at as many regions as it finds, so it is exported for one image at a time",
                where="dynamic",
                expected="format=onnx, one image of one size",
                fix="format=onnx dynamic=off",
            )
    if config.dynamic == "all":
        reason = None
        if not subject.backbone.acceleration.off:
            reason, fix = "how many tokens stay is reckoned from the size", "dynamic=batch, or acceleration=off"
        elif subject.backbone._has_relative_positions():
            reason, fix = "its relative positions are tied to the size", "dynamic=batch"
        elif subject.task == "segment" and subject.head == "mask2former":
            reason, fix = "its head by transformers takes the size for a constant", "dynamic=batch"
        elif config.format == "torch_export" and subject.backbone.pyramid is not None:
            fewest = 5  # below, the map of stride 64 is one cell, and a program knows 1 from all other numbers
            if min(subject.px) < fewest * PATCH:
                reason, fix = f"px is below {fewest * PATCH}", f"px={fewest * PATCH}, dynamic=batch, or format=onnx"
        if reason is not None:
            raise InputError(
                f"height and width of this model cannot be left open: {reason}",
                where="dynamic",
                expected="batch or off",
                fix=fix,
            )
    return Shapes(size=subject.px, dynamic=config.dynamic, batch=config.batch, fewest_patches=fewest)


def _written(
    form: Form, file: Path, subject: Subject, pictures: Pictures, shapes: Shapes, precision: str
) -> tuple[Parity, Runner]:
    """Write a file, open it and let it through, or raise."""
    graph = Graph(subject.network, precision)
    try:
        form.write(graph, shapes, file)
        run = form.open(file)
    except Exception as error:  # of PyTorch, the exporters or the runtime, in many classes
        reason = " ".join(str(error).split())[:300]
        raise ParityError(
            f"this model cannot be exported so: {type(error).__name__}: {reason}\n"
            f"  fix:        dynamic=off, or another format (nothing was written)"
        ) from error
    parity = compare(subject.network, run, pictures, shapes)
    parity.check(TOLERANCES["fp32" if precision == "int8" else precision])
    return parity, run


def _quantised(
    form: Form, file: Path, subject: Subject, pictures: Pictures, shapes: Shapes
) -> tuple[Parity, Runner, dict[str, Any]]:
    """Put a quantised file in the place of one that was let through, and measure what that costs and brings."""
    exact = file.with_name("exact.onnx")
    file.rename(exact)
    quantise(exact, file)
    run, before = form.open(file), form.open(exact)
    images = pictures.tensors(shapes.size)[: shapes.batches[0]]
    figures = {
        "size": file.stat().st_size / exact.stat().st_size,
        "speed_up": speed_up((run, before), images),
    }
    exact.unlink()
    return compare(subject.network, run, pictures, shapes), run, figures


def _report(config: ExportConfig, about: dict[str, Any], form: Form, parity: Parity) -> None:
    print(
        f"{form.file}: differs from the model by {parity.difference:.1e} relative at most; decisions: "
        f"{parity.same_in_words} (on {parity.pictures})",
        flush=True,
    )
    if int8 := about.get("int8"):
        print(f"int8: {int8['size']:.2f} times the size, {int8['speed_up']:.2f} times the speed of fp32 on this CPU")
    if quality := about.get("quality"):
        print(
            f"{quality['metric']}: {quality['file']:.2f} percent, the model {quality['model']:.2f} "
            f"(on {quality['images']})"
        )
    if about["task"] == "detect" and config.dynamic != "all":
        height, width = about["px"]
        print(
            f"pictures of any shape are brought to {height} x {width} px: px= and width= choose it, and for dino "
            "dynamic=all leaves it open"
        )
    files = ", ".join(sorted(path.name for path in config.out.iterdir()))
    print(f"written: {config.out} ({files})", flush=True)
