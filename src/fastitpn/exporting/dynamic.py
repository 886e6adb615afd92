"""What an exported file leaves open from call to call: as asked for, or as much as is of use and possible."""

from typing import Literal

from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.formats.base import ExportFormat
from fastitpn.exporting.formats.onnx import OPSET
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.exporting.shapes import PATCH, Shapes
from fastitpn.exporting.subject import Subject

Open = Literal["off", "batch", "all"]


def choose_shapes(format_: ExportFormat, config: ExportConfig, subject: Subject) -> list[Shapes]:
    """The sizes to try for a file, the first one first.

    With dynamic=auto, height and width are left open where predictions look at images in sizes of their own, unless
    `width` asks for one; else the number of images, unless `batch` asks for one.

    Raises:
        InputError: What was asked for cannot be left open.
    """
    if config.dynamic != "auto":
        wishes: tuple[Open, ...] = (config.dynamic,)
    elif config.batch != 1:
        wishes = ("off",)
    elif subject.any_size and config.width is None:
        wishes = ("all", "batch", "off")
    else:
        wishes = ("batch", "off")
    obstacles = {wish: _obstacle(wish, format_, config, subject) for wish in wishes}
    possible = [wish for wish, obstacle in obstacles.items() if obstacle is None]
    if not possible and (obstacle := obstacles[wishes[-1]]) is not None:
        raise obstacle
    fewest = format_.fewest_patches if subject.backbone.pyramid is not None else 2
    return [Shapes(size=subject.px, dynamic=wish, batch=config.batch, fewest_patches=fewest) for wish in possible]


def _obstacle(wish: Open, format_: ExportFormat, config: ExportConfig, subject: Subject) -> InputError | None:
    """Why this much cannot be left open; None if it can."""
    whole = subject.whole
    if subject.network.one_by_one and (not format_.one_by_one or wish != "off" or config.batch != 1):
        head = whole.head if whole is not None else subject.task
        able = " or ".join(name for name in FORMATS if FORMATS[name].one_by_one)
        return InputError(
            f"a {head} looks at as many regions as it finds, so it is exported for one image at a time",
            where="dynamic",
            expected=f"format={able}, one image of one size",
            fix=f"format={able.partition(' ')[0]} dynamic=off",
        )
    accelerated = not subject.backbone.acceleration.off
    if wish != "off" and accelerated and (config.opset or OPSET) < OPSET:
        return InputError(
            f"with an acceleration, nothing can be left open in opset {config.opset}",
            where="dynamic",
            expected="off",
            fix=f"dynamic=off, or opset={OPSET}",
        )
    if wish != "all":
        return None
    reason = None
    task_reason = whole.fixed_size(config) if whole is not None else None
    fewest = format_.fewest_patches
    if accelerated:
        reason = "how many tokens stay is reckoned from the size", "dynamic=batch, or acceleration=off"
    elif subject.backbone._has_relative_positions():
        reason = "its relative positions are tied to the size", "dynamic=batch"
    elif task_reason is not None:
        reason = task_reason
    elif subject.backbone.pyramid is not None and min(subject.px) < fewest * PATCH:
        reason = f"px is below {fewest * PATCH}", f"px={fewest * PATCH}, dynamic=batch, or format=onnx"
    if reason is None:
        return None
    return InputError(
        f"height and width of this model cannot be left open: {reason[0]}",
        where="dynamic",
        expected="batch or off",
        fix=reason[1],
    )
