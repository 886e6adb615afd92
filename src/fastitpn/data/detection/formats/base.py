"""What a label format is: how data in it is recognised, and which parts it has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fastitpn.data.detection.problems import Problem

Content = dict[str, Any]
"""Annotations as COCO has them: the lists images, annotations and categories; annotations may be a `JsonList`."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a data set that was found; its annotations are read by `fastitpn.data.detection.reading.scan`.

    Attributes:
        path: File or folder that has its annotations.
        content: Gives them; raises `InputError` where they cannot be read.
        images: Folder that the file names begin at, and in which every image should be listed; None where names are
            whole paths.
        label_files: Files of labels by the id of their image, where each has a file of its own.
        problems: What is wrong so far, all left out of `content`.
        notes: Lines about what is not wrong and deserves a word.
    """

    path: Path
    content: Callable[[], Content]
    images: Path | None = None
    label_files: Mapping[int, Path] = field(default_factory=dict)
    problems: Sequence[Problem] = ()
    notes: Sequence[str] = ()


class Parts(Protocol):
    """A data set in some format."""

    @property
    def names(self) -> list[str]:
        """Names of its parts: "train", "val" and so on; "" for what is of no part."""

    def find(self, name: str) -> Part | None:
        """The part of a name; of "" what is of no part.

        Raises:
            InputError: It cannot be told which files are of this part.
        """


@dataclass(frozen=True, kw_only=True)
class LabelFormat:
    """A way to write down boxes and masks. A new one is a file with such an object, and a line in the registry.

    Attributes:
        title: What people call the format.
        layout: Files and folders, in one sentence.
        recognise: Whether a file or folder, which need not be there, is in this format.
        open: From that and a folder of images, which None finds, to its parts. A format that gives a `Source` is also
            one to convert from.
        resembles: Whether data that is in no format may be meant to be in this one, so that its errors help to
            convert it; None for never.
    """

    title: str
    layout: str
    recognise: Callable[[Path], bool]
    open: Callable[[Path, Path | None], Parts]
    resembles: Callable[[Path], bool] | None = None
