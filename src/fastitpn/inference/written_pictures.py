"""What there is to predict, the names of what is written of it, and that this is nothing to predict later."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from fastitpn.console import say
from fastitpn.data.images.videos import is_video, list_videos, video_library
from fastitpn.errors import InputError
from fastitpn.files import replacing
from fastitpn.inference.sources import collect_sources, source_root
from fastitpn.listing import expanded, matching
from fastitpn.runs.output import make_folder


class Inputs(NamedTuple):
    """What there is to predict."""

    images: list[Path]
    videos: list[Path]


def find_inputs(source: Path, out: Path, written: Sequence[str]) -> Inputs:
    """The images and videos of a source, numbers in their names in order: frame2 before frame10.

    Where `out` is inside of the source, what an earlier call wrote is none of them.

    Args:
        source: An image, a video, a folder or a pattern.
        out: Folder that results go to, whose own pictures are no inputs.
        written: Files and folders of pictures and videos inside of `out`.

    Raises:
        InputError: There are none, or videos without the library to read them.
    """
    if source.is_file():
        return Inputs([], [source]) if is_video(source) else Inputs([source], [])
    videos = _videos_of(source)
    try:
        images = [image.path for image in collect_sources(source) if image.path is not None]
    except InputError:
        if not videos:
            raise
        images = []
    places = [out.resolve() / name for name in written]
    images, videos = (
        sorted((path for path in paths if not is_of(path, places)), key=_natural) for paths in (images, videos)
    )
    inputs = Inputs(images, videos)
    if not any(inputs):
        raise InputError(
            "all that is here was written by this command",
            where=source,
            expected="images or videos",
            fix="give another folder",
        )
    if inputs.videos:
        video_library(inputs.videos[0])
    return inputs


def is_of(path: Path, places: Sequence[Path]) -> bool:
    """Whether a file is one of `places`, or in one of them, also if it is a link to another file."""
    place = path.parent.resolve() / path.name
    return any(place.is_relative_to(other) for other in places)


def _videos_of(source: Path) -> list[Path]:
    if source.is_dir():
        return list_videos(source)
    return [path for path in expanded(str(source)) if is_video(path) and path.is_file()]


def _natural(path: Path) -> list[tuple[int, str]]:
    """What to sort by, so that numbers are compared as numbers."""
    parts = re.split(r"(\d+)", str(path))  # texts and numbers in turn
    return [(int(part), "") if place % 2 else (0, part) for place, part in enumerate(parts)]


def output_names(paths: Sequence[Path], source: Path, suffix: str = ".png") -> list[Path]:
    """For each file the name of what is written of it: its place in the source, with another ending."""
    places = [place_in(source, path) for path in paths]
    counts = Counter(place.with_suffix("") for place in places)
    return [
        place.with_suffix(suffix) if counts[place.with_suffix("")] == 1 else place.with_name(f"{place.name}{suffix}")
        for place in places
    ]


def place_in(source: Path, path: Path) -> Path:
    """The path inside the folder that was asked for, or the name of the file that was."""
    return path.relative_to(source_root(source))


def say_others(folder: Path, written: Sequence[Path]) -> None:
    """Prints how many pictures of earlier calls a folder still has.

    Args:
        folder: Folder with the pictures.
        written: Pictures of this call, relative to the folder.
    """
    others = {path.relative_to(folder) for path in matching(folder, "**/*.png")} - set(written)
    if others:
        pictures = f"{len(others)} picture{'s' * (len(others) != 1)}"
        say(f"{folder} also has {pictures} of earlier calls; with another out=FOLDER each is by itself")


def save_picture(picture: Image.Image, path: Path) -> None:
    """Writes a PNG, and the folders above it."""
    make_folder(path.parent)
    with replacing(path) as file:
        picture.save(file, "PNG")
