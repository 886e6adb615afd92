"""The folder of an export: there as a whole, or not at all."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fastitpn.errors import InputError
from fastitpn.files import new_folder
from fastitpn.listing import is_empty
from fastitpn.runs.exported_folder import DESCRIPTION
from fastitpn.runs.output import check_no_run, make_folder

_OURS = (DESCRIPTION, "config.json")


@contextmanager
def export_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `out` when all went well; else nothing of it is left.

    Args:
        out: A new folder, an empty one, or one of an earlier export.

    Raises:
        InputError: `out` holds something else.
    """
    out = Path(os.path.abspath(out))
    check_no_run(out, "export")
    if out.is_file():
        raise InputError("out is a file", where=out, expected="a folder", fix="out=FOLDER")
    if out.is_dir() and not is_empty(out) and not any((out / name).is_file() for name in _OURS):
        raise InputError(
            "the folder is not empty, and no export",
            where=out,
            expected="a new folder, or that of an earlier export, which is replaced",
            fix=f"out={out / 'export'}",
        )
    make_folder(out.parent)
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(new_folder(out, replace=True))
        except OSError as error:
            raise InputError(
                f"nothing can be written there: {error.strerror}", where=out.parent, expected="a writable folder"
            ) from error
        yield folder
