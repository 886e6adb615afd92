"""Where weights lie: a file, a folder that has one, or the name of a published file."""

from pathlib import Path

from fastitpn.errors import InputError
from fastitpn.listing import children
from fastitpn.models.weights.cache import fetched
from fastitpn.models.weights.damage import WRITTEN
from fastitpn.models.weights.published import PREFIX, published_file
from fastitpn.models.weights.reading import shards_of

_IN_FOLDERS = ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "model.safetensors", "pytorch_model.bin")
_ADDRESSES = ("http:/", "https:/", "ftp:/")  # of which a path has one slash alone
_INDEX = ".index.json"


def locate(path: Path) -> Path:
    """The file of weights that a path stands for.

    Args:
        path: A file; a run directory; a folder with one set of weights, in one file or several; or "published:NAME".

    Raises:
        InputError: There is none, or nothing says which.
    """
    if str(path).startswith(PREFIX):
        return fetched(published_file(str(path)))
    if str(path).startswith(_ADDRESSES):
        raise InputError(
            "this is an address, and nothing is fetched from it",
            where=path,
            expected="a file or a run directory",
            fix="fetch it, and give the file; fastitpn weights lists published ones that have a verb for that",
        )
    try:
        return _on_disk(path)
    except PermissionError:
        raise InputError(
            "you may not read this folder, or one on the way to it",
            where=path,
            expected="a file or a run directory that you may read",
            fix=f"see who may: ls -ld {path.parent} {path}",
        ) from None


def _on_disk(path: Path) -> Path:
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return path
    expected, fix = "a file or a run directory", "check the path"
    if path.is_symlink():
        raise InputError("this link leads to no file", where=path, expected=expected, fix=fix)
    if path.exists():
        raise InputError("this is neither a file nor a folder", where=path, expected=expected, fix=fix)
    raise InputError("no such weights file", where=path, expected=expected, fix=fix)


def _in_folder(folder: Path) -> Path:
    for inside in _IN_FOLDERS:
        if (folder / inside).is_file():
            return folder / inside
    names = sorted(path.name for path in children(folder) if path.is_file())
    files = [name for name in names if name.endswith(_INDEX)] or [name for name in names if name.endswith(WRITTEN)]
    sets = {shards_of(name) or (name,): name for name in files}
    if len(sets) == 1:
        return folder / next(iter(sets.values()))
    if sets:
        more = f" and {len(sets) - 3} more" if len(sets) > 3 else ""
        raise InputError(
            f"this folder holds several files of weights: {', '.join([*sets.values()][:3])}{more}",
            where=folder,
            expected="one of them",
            fix=f"give {folder / next(iter(sets.values()))}, or another",
        )
    raise InputError(
        "this folder holds no weights",
        where=folder,
        expected="a run directory (checkpoints/best.ckpt) or a weights file",
        fix="give a file, or a run that got as far as its first checkpoint",
    )
