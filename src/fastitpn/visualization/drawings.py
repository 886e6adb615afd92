"""What the commands of `visualize` have in common: the images they draw, and the files and the page they write."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fastitpn.config import to_yaml
from fastitpn.console import say
from fastitpn.data.images.decode import read_image
from fastitpn.data.images.transforms import classify_eval
from fastitpn.errors import InputError
from fastitpn.files import replacing
from fastitpn.inference.sources import collect_sources, source_root
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.panels import Row, lay_out
from fastitpn.reporting.pictures import to_pictures
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Picture, Section, Text
from fastitpn.reporting.values import Value, printable
from fastitpn.runs.acceleration import acceleration_figure
from fastitpn.training.progress import ProgressDisplay
from fastitpn.visualization.config import VisualizeConfig
from fastitpn.visualization.subject import Subject

REPORT = "report.html"
KINDS = ("tokens", "features", "attention", "similarity")
"""Names of the subjects: each picture ends in one of them."""
_NAMED = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawings:
    """What `fastitpn visualize` wrote.

    Attributes:
        report: The page with all of them.
        pictures: One file for each image.
        sheet: One file with all images below each other; None where it was one image, and of tokens.
    """

    report: Path
    pictures: tuple[Path, ...]
    sheet: Path | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shown:
    """An image to draw.

    Attributes:
        path: File of the image.
        name: For people: its path inside the folder that was given.
        pixels: [1, 3, px, px], the model's input.
        picture: The model's input as an RGB picture.
    """

    path: Path
    name: str
    pixels: Tensor
    picture: Image.Image


def find_images(config: VisualizeConfig) -> list[Path]:
    """The files to draw: those given, without our own pictures of an earlier call, as many as `limit` allows.

    Raises:
        InputError: There are none.
    """
    paths = [source.path for source in collect_sources(config.images) if source.path is not None]
    if not config.images.is_file():
        paths = [path for path in paths if not _is_own(path, config.out)]
        if not paths:
            raise InputError(
                "the only images in this folder are pictures of this command",
                where=config.images,
                expected="a folder with images",
                fix="images=FOLDER",
            )
    if len(paths) <= config.limit:
        return paths
    say(f"{config.limit} of {len(paths)} images, spread evenly; limit={len(paths)} draws all")
    return [paths[int(place)] for place in np.linspace(0, len(paths) - 1, config.limit)]


def read_shown(paths: Sequence[Path], config: VisualizeConfig, subject: Subject) -> list[Shown]:
    """Read the images; in a folder, files that cannot be read are skipped and named.

    Raises:
        InputError: None can be read.
    """
    transform = classify_eval(subject.px, mean=subject.mean, std=subject.std)
    shown: list[Shown] = []
    skipped: list[InputError] = []
    for path in paths:
        try:
            pixels = transform(read_image(path)).unsqueeze(0)
        except InputError as error:
            if config.images.is_file():
                raise
            skipped.append(error)
        else:
            [picture] = to_pictures(pixels, subject.mean, subject.std)
            shown.append(Shown(path=path, name=shown_name(path, config), pixels=pixels, picture=picture))
    tell_skipped(skipped, len(paths))
    return shown


def shown_name(path: Path, config: VisualizeConfig) -> str:
    """Name of an image for people: its path inside the folder that was given."""
    return path.relative_to(source_root(config.images)).as_posix()


def free_place(out: Path, name: str, kind: str, taken: Mapping[Path, Path]) -> Path:
    """Where to write the picture of an image; a number tells pictures of the same name apart."""
    stem = str(Path(name).with_suffix("")).replace("/", "-").replace("\\", "-")
    place, number = out / f"{stem}.{kind}.png", 2
    while place in taken.values():
        place, number = out / f"{stem}-{number}.{kind}.png", number + 1
    return place


def tell_skipped(skipped: Sequence[InputError], num_images: int) -> None:
    """Say which files were left out.

    Raises:
        InputError: They were all of them.
    """
    if skipped and len(skipped) == num_images:
        raise InputError(
            f"none of the {num_images} images can be read; the first: {skipped[0].what}",
            where=skipped[0].where,
            expected="image files",
            fix="images=FILE of another image, or a folder of them",
        )
    for error in skipped[:_NAMED]:
        say(printable(f"skipped: {error.where}: {error.what}"))
    if len(skipped) > _NAMED:
        say(f"and {len(skipped) - _NAMED} more skipped")


def write_drawings(
    config: VisualizeConfig,
    kind: str,
    subject: Subject,
    shown: Sequence[Shown],
    rows: Sequence[Row],
    device: torch.device,
    *,
    columns: int,
    title: str,
    summary: Sequence[tuple[str, Value, str]],
    explanation: str,
) -> Drawings:
    """Write a picture for each image, one of all of them, and the page.

    Args:
        config: Configuration of the command.
        kind: One of `KINDS`.
        subject: The model that was looked into.
        shown: The images that were drawn.
        rows: Lines of panels of each image.
        device: Device that computed.
        columns: Panels in a line.
        title: Heading of the page.
        summary: Figures of the drawing; those of the model are added.
        explanation: How to read the images.
    """
    drawn: list[Section] = []
    places: dict[Path, Path] = {}
    with ProgressDisplay("drawing", step=0, steps=len(rows)) as display:
        for number, (image, row) in enumerate(zip(shown, rows, strict=True), start=1):
            picture = lay_out([row._replace(notes=subject.notes)], columns=columns)
            places[image.path] = free_place(config.out, image.name, kind, places)
            _save(picture, places[image.path])
            drawn.append(Picture(printable(image.name), picture))
            display.advance(number)
    sheet = config.out / f"{kind}.png" if len(rows) > 1 else None
    if sheet is not None:
        _save(lay_out([rows[0]._replace(notes=subject.notes), *rows[1:]], columns=columns), sheet)
    report = write_report(
        config.out / REPORT,
        title=title,
        summary=[
            *summary,
            ("model", subject.name.removeprefix("fastitpn_"), f"{subject.px} px, {subject.weights}"),
            acceleration_figure(subject.model.acceleration),
        ],
        sections=[
            Text("How to read the images", explanation),
            *drawn,
            Code("Configuration", to_yaml(config)),
            Facts("Environment", describe_environment(device)),
        ],
    )
    together = f", side by side: {sheet}" if sheet is not None else ""
    say(f"{len(rows)} picture{'s' * (len(rows) != 1)} in {config.out}{together}, all on one page: {report}")
    return Drawings(report=report, pictures=tuple(places.values()), sheet=sheet)


def _is_own(path: Path, out: Path) -> bool:
    drawn = any(path.name.endswith(f".{kind}.png") or path.name == f"{kind}.png" for kind in KINDS)
    return drawn and path.resolve().parent == out.resolve()


def _save(picture: Image.Image, place: Path) -> None:
    with replacing(place) as file:
        picture.save(file, "PNG")
