"""The folder of results that belong to no run."""

from pathlib import Path

from fastitpn.errors import InputError
from fastitpn.runs.run import CONFIG


def check_no_run(path: Path, name: str = "evaluation") -> None:
    """Make sure that the `out` of a command is not the directory of a run.

    Args:
        path: The folder, which need not exist.
        name: Name to suggest for a folder inside it.

    Raises:
        InputError: It is one.
    """
    if (path / CONFIG).is_file():
        raise InputError(
            "out is the directory of a run, whose report would be replaced",
            where=path,
            expected="a folder of its own",
            fix=f"out={path / name}",
        )


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
