"""Pictures that predictions write, one for each image: their names, and that they are no images to predict later."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from fastitpn.engine.atomic import replacing
from fastitpn.engine.output import make_folder
from fastitpn.inference.sources import collect_sources, source_root


def images_to_predict(source: Path, out: Path, written: Sequence[str]) -> list[Path]:
    """The images of a source; where `out` is inside of it, what an earlier call wrote is none of them.

    Args:
        source: An image, a folder or a pattern.
        out: Where results go.
        written: Files and folders of PNGs inside of `out`.

    Raises:
        InputError: There are no images.
    """
    found = [image.path for image in collect_sources(source) if image.path is not None]
    if source.is_file():
        return found
    places = [out.resolve() / name for name in written]
    own = {*places, *(path for place in places for path in place.rglob("*.png"))}
    return [path for path in found if path.resolve() not in own]


def picture_names(paths: Sequence[Path], source: Path) -> list[Path]:
    """For each image the name of what is written of it: its place in the source, ending in .png."""
    places = [place_in(source, path) for path in paths]
    counts = Counter(place.with_suffix("") for place in places)
    return [
        place.with_suffix(".png") if counts[place.with_suffix("")] == 1 else place.with_name(f"{place.name}.png")
        for place in places
    ]


def place_in(source: Path, path: Path) -> Path:
    """The path inside the folder that was asked for, or the name of the file that was."""
    return path.relative_to(source_root(source))


def save_picture(picture: Image.Image, path: Path) -> None:
    """Writes a PNG, and the folders above it."""
    make_folder(path.parent)
    with replacing(path) as file:
        picture.save(file, "PNG")
