"""Images named in a text list, one path per line."""

import re
from pathlib import Path

from fastitpn.console import say
from fastitpn.data.images.named_files import NamedFiles
from fastitpn.data.text_files import UNICODE, decode
from fastitpn.errors import InputError

_MOST_LISTED = 10
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<name>.+)(?P=quote),?""")


def read_list(file: Path) -> list[Path]:
    """Reads a text file with one image path per line; relative paths start at its folder.

    Empty lines and comments (`# ...`) are skipped; a name may be quoted, and written as `NamedFiles` finds it.

    Raises:
        InputError: Lines whose file is missing (all in one error), an empty list, or not a text file.
    """
    lines = [(line, text.strip()) for line, text in enumerate(read_lines(file), start=1) if text.strip()]
    files = NamedFiles([file.parent], [text for _, text in lines])
    paths, problems = [], []
    for line, text in lines:
        path = files.find(text)
        if path is None and (quoted := _QUOTED.fullmatch(text)):
            path = files.find(quoted["name"])
        if path is not None:
            paths.append(path)
        elif not text.startswith("#"):
            problems.append(f"line {line}: no such file: {text}")
    expected = "one path of an image per line, relative to the folder of the list"
    raise_problems(file, problems, expected=expected)
    if not paths:
        raise InputError("the list is empty", where=file, expected=expected, fix=f"ls *.jpg > {file.name}")
    if named := files.line():
        say(f"{file.name}: {named}")
    return paths


def read_lines(file: Path) -> list[str]:
    """The lines of a text file, without empty ones at its end; an encoding that had to be guessed is said.

    Raises:
        InputError: It cannot be read, or is no text.
    """
    try:
        text, encoding = decode(file.read_bytes())
    except (UnicodeError, OSError) as error:
        raise InputError(
            f"cannot read this list: {getattr(error, 'strerror', None) or 'it is not a text file'}",
            where=file,
            expected="a text file in UTF-8 that lists images, or a folder of images",
            fix="save it as UTF-8 text, or give a folder",
        ) from error
    if encoding not in UNICODE:
        say(f"{file.name} is not in UTF-8: read as {encoding}; if names are wrong, save it as UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")


def raise_problems(
    file: Path,
    problems: list[str],
    *,
    expected: str,
    fix: str = "correct or delete these lines, then run the same command again",
) -> None:
    """Raise one error for all that is wrong with the lines of a file, if anything is.

    Args:
        file: The list or table.
        problems: Each begins with the number of its line.
        expected: What its lines should be.
        fix: What to do.

    Raises:
        InputError: There are problems.
    """
    if not problems:
        return
    listed = problems[:_MOST_LISTED]
    if len(problems) > len(listed):
        listed.append(f"... and {len(problems) - len(listed)} more")
    raise InputError(
        "1 line of this list is wrong" if len(problems) == 1 else f"{len(problems)} lines of this list are wrong",
        where=f"{file}\n    " + "\n    ".join(listed),
        expected=expected,
        fix=fix,
    )
