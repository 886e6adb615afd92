"""The folder of results that belong to no run."""

from pathlib import Path

from fastitpn.errors import InputError


def make_folder(path: Path) -> None:
    """Make the `out` of a command, unless it is there.

    Raises:
        InputError: A file is in its way.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next(place for place in (path, *path.parents) if place.is_file())
        raise InputError("out is a file, or below one", where=file, expected="a folder", fix="out=FOLDER") from None
