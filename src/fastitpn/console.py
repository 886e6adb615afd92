"""What a person is told: printed by the command line, only logged by the Python functions."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger("fastitpn")
_printing = False


def say(text: str, *, error: bool = False) -> None:
    """Tell a person something.

    Args:
        text: One line or several.
        error: Print it on standard error.
    """
    if _printing:
        text = text.encode("utf-8", "backslashreplace").decode()  # names of files need not be UTF-8
        print(text, file=sys.stderr if error else sys.stdout, flush=True)
    else:
        logger.info(text)


def note(text: str) -> None:
    """Tell a person something that the log of the run keeps as well."""
    if _printing:
        say(text)
    logger.info(text)


def is_printing() -> bool:
    """Whether what is said is printed."""
    return _printing


@contextmanager
def printing(enabled: bool = True) -> Iterator[None]:
    """Within, what is said is printed, as the command line does."""
    global _printing
    before, _printing = _printing, enabled
    try:
        yield
    finally:
        _printing = before
