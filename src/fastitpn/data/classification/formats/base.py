"""What a format of classes is: how data in it is recognised, read and checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_MOST_LISTED = 10

ImagesByClass = dict[str, list[Path]]
"""The images of each class by its name."""


@dataclass(frozen=True, kw_only=True)
class Oddity:
    """Something that is wrong with labels, for `doctor`: its kind, what it is, and the files that it is about."""

    kind: str
    what: str
    files: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class ClassFormat:
    """A way to say of which class images are. A new one is a file with such an object, and a line in the registry.

    Attributes:
        title: What people call the format.
        layout: Files and folders, in one sentence.
        recognise: Whether a file or folder is in this format.
        read: The images of each class; raises `InputError` where anything is wrong. There may be empty classes.
        check: Images and their classes as far as they can be used, and what is wrong.
        parts: As `read`, for a file that may name parts of the data within itself: by part, "" for what is of none.
    """

    title: str
    layout: str
    recognise: Callable[[Path], bool]
    read: Callable[[Path], ImagesByClass]
    check: Callable[[Path], tuple[list[tuple[Path, str]], list[Oddity]]]
    parts: Callable[[Path], dict[str, ImagesByClass]] | None = None


def listed_names(names: Sequence[str]) -> str:
    """The first few of some names, for messages."""
    shown = ", ".join(names[:_MOST_LISTED])
    return shown if len(names) <= _MOST_LISTED else f"{shown} and {len(names) - _MOST_LISTED} more"
