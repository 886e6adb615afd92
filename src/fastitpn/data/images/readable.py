"""Checks a list of images before the first training step, so that a damaged file is not found after hours."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import track

from fastitpn.data.images.decode import verify_image
from fastitpn.errors import InputError

_MOST_LISTED = 10
_SHOW_PROGRESS_FROM = 5000
_CHUNK = 64


def check_readable(paths: Sequence[Path]) -> None:
    """Verifies every image with `verify_image`, in threads; a progress bar is shown for long lists.

    Args:
        paths: Image files.

    Raises:
        InputError: One error for all files; up to ten are named, each with its reason.
    """
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
        console = Console(stderr=True)
        quiet = len(paths) < _SHOW_PROGRESS_FROM or not console.is_terminal
        results = track(
            pool.map(_problems, chunks), "checking images", len(chunks), console=console, transient=True, disable=quiet
        )
        problems = [problem for problems in results for problem in problems]
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


def _problems(paths: Sequence[Path]) -> list[InputError]:
    problems = []
    for path in paths:
        try:
            verify_image(path)
        except InputError as error:
            problems.append(error)
    return problems
