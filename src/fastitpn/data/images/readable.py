"""Checks a list of images before the first training step, so that a damaged file is not found after hours."""

from collections.abc import Sequence
from pathlib import Path

from fastitpn.data.images.decode import verify_image
from fastitpn.data.looking import look_at_each
from fastitpn.errors import InputError

_MOST_LISTED = 10


def check_readable(paths: Sequence[Path]) -> None:
    """Verifies every image with `verify_image`, in threads; a progress bar is shown where that takes long.

    Args:
        paths: Image files.

    Raises:
        InputError: One error for all files; up to ten are named, each with its reason.
    """
    problems = [problem for problem in look_at_each(_problem, paths, "checking images") if problem is not None]
    if not problems:
        return
    lines = [f"\n    {problem.where}: {problem.what}" for problem in problems[:_MOST_LISTED]]
    if len(problems) > _MOST_LISTED:
        lines.append(f"\n    ... and {len(problems) - _MOST_LISTED} more")
    raise InputError(
        f"{len(problems)} of {len(paths)} images cannot be read",
        where="".join(lines),
        expected="complete image files",
        fix="replace or delete these files, then run the same command again",
    )


def _problem(path: Path) -> InputError | None:
    try:
        verify_image(path)
    except InputError as error:
        return error
    return None
