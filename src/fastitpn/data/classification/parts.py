"""The parts of images with classes: folders, tables beside each other, or a column of a table."""

from dataclasses import dataclass
from pathlib import Path

from fastitpn.console import say
from fastitpn.data.classification.formats.base import ImagesByClass, Oddity
from fastitpn.data.classification.formats.registry import format_of, recognise
from fastitpn.data.debris import is_left_out
from fastitpn.data.images.folders import inner_folder
from fastitpn.data.images.tables import TABLES, places_of, read_cells
from fastitpn.data.parts import by_part, data_parts, longer_parts
from fastitpn.errors import InputError
from fastitpn.listing import children, subfolders


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
        InputError: Two folders or tables are named after the same part, or folders name parts by longer names.
    """
    if data.is_file() or recognise(data) == "tar_shards":
        read = format_of(data).parts
        contents = {} if read is None or recognise(data) is None else read(data)
        return {part: ClassPart(path=data, content=content) for part, content in contents.items()} or {
            "": ClassPart(path=data)
        }
    folders = data_parts(data)
    if all(recognise(folder) is None for folder in folders.values()):
        tables = by_part(_tables(data), where=data)
        if "train" in tables:
            folders = tables
        elif (folders or recognise(data) is None) and (table := _only_table(data)) is not None:
            say(f"the classes are those of {table.name}")
            return class_parts(table)
    if not folders and recognise(data) is not None:
        _no_longer_parts(data)
    return {part: ClassPart(path=path) for part, path in folders.items()} or {"": ClassPart(path=data)}


def _no_longer_parts(data: Path) -> None:
    names = longer_parts(path.name for path in subfolders(data))
    if names and subfolders(data / names["train"]):  # else there are no classes in it
        train, other = (data / names[part] for part in ("train", "val" if "val" in names else "test"))
        raise InputError(
            f"the folders {', '.join(names.values())} look like parts of the data, not like classes",
            where=data,
            expected=f"folders named {', '.join(names)}, with a folder for each class in them; or folders of classes",
            fix=f"data={inner_folder(train) or train} val={inner_folder(other) or other}",
        )


def _only_table(data: Path) -> Path | None:
    """The table of classes in a folder that has no other table."""
    tables = _tables(data)
    if len(tables) != 1:
        return None
    places = places_of(read_cells(tables[0]).header)
    return tables[0] if places["image"] and places["label"] else None


def _tables(data: Path) -> list[Path]:
    if not data.is_dir():
        return []
    return [path for path in children(data) if path.suffix.lower() in TABLES and not is_left_out(path.name)]
