"""The parts of images with classes: folders, tables beside each other, or a column of a table."""

from dataclasses import dataclass
from pathlib import Path

from fastitpn.data.classification.formats.base import ImagesByClass, Oddity
from fastitpn.data.classification.formats.registry import format_of, recognise
from fastitpn.data.debris import is_left_out
from fastitpn.data.images.tables import TABLES
from fastitpn.data.parts import by_part, data_parts


@dataclass(frozen=True, kw_only=True)
class ClassPart:
    """Images with classes.

    Attributes:
        path: Data in one of the `FORMATS`.
        content: Its images by class, if they have been read already.
    """

    path: Path
    content: ImagesByClass | None = None

    def read(self) -> ImagesByClass:
        """The images of each class, see `ClassFormat.read`."""
        return format_of(self.path).read(self.path) if self.content is None else self.content

    def check(self) -> tuple[list[tuple[Path, str]], list[Oddity]]:
        """Images and classes as far as they can be used, see `ClassFormat.check`."""
        if self.content is None:
            return format_of(self.path).check(self.path)
        return [(image, name) for name, images in self.content.items() for image in images], []


def class_parts(data: Path) -> dict[str, ClassPart]:
    """The parts that data names, in the order train, val, test; "" for data that names none.

    Raises:
        InputError: Two folders or tables are named after the same part.
    """
    if data.is_file():
        read = format_of(data).parts
        contents = {} if read is None or recognise(data) is None else read(data)
        return {part: ClassPart(path=data, content=content) for part, content in contents.items()} or {
            "": ClassPart(path=data)
        }
    folders = data_parts(data)
    if not folders or all(recognise(folder) is None for folder in folders.values()):
        tables = by_part(_tables(data), where=data)
        if "train" in tables:
            folders = tables
    return {part: ClassPart(path=path) for part, path in folders.items()} or {"": ClassPart(path=data)}


def _tables(data: Path) -> list[Path]:
    if not data.is_dir():
        return []
    return [path for path in data.iterdir() if path.suffix.lower() in TABLES and not is_left_out(path.name)]
