"""Images with any number of labels each, in two parts: to train and to validate."""

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastitpn.data.classification.formats.base import listed_names
from fastitpn.data.classification.formats.label_table import LabelTable, has_several_labels, read_label_table
from fastitpn.data.debris import is_left_out
from fastitpn.data.fold import Fold, HeldOut
from fastitpn.data.images.named_files import nfc
from fastitpn.data.images.tables import TABLES
from fastitpn.data.parts import PARTS, by_part, choose_part, part_to_train_on, say_of_held_out
from fastitpn.data.splitting import check_folds
from fastitpn.errors import InputError
from fastitpn.listing import children, matching


@dataclass(frozen=True, kw_only=True, eq=False)
class MultilabelImages:
    """Images with any number of labels each.

    Attributes:
        paths: Files.
        labels: float32 [n, classes], 1 where an image has a label.
        classes: Names, in alphabetical order, or in the order that was asked for.
    """

    paths: list[Path]
    labels: np.ndarray
    classes: list[str]

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, indices: Sequence[int]) -> "MultilabelImages":
        """The images at these positions, with the same classes."""
        return MultilabelImages(
            paths=[self.paths[i] for i in indices], labels=self.labels[indices], classes=self.classes
        )

    def describe(self, effect: str) -> list[str]:
        """How many images there are, with how many labels, and what `describe_absent` says, a line each."""
        each, without = self.labels.sum(1).mean(), int((self.labels.sum(1) == 0).sum())
        line = f"{len(self)} images, {each:.3g} of {len(self.classes)} labels each, {without} without any"
        return [line, *filter(None, [self.describe_absent(effect)])]

    def describe_absent(self, effect: str) -> str:
        """Which classes no image has, and what comes of that; "" if there are none."""
        absent = [name for name, number in zip(self.classes, self.labels.sum(0), strict=True) if number == 0]
        return f"no image has {listed_names(absent)}: {effect}" if absent else ""


def multilabel_part(data: Path, part: str | None, classes: Sequence[str]) -> MultilabelImages:
    """Lists the images to evaluate a model on; of data with parts those of one, see `choose_part`.

    Args:
        data: What `multilabel_split` takes.
        part: Name of the part; None leaves it open.
        classes: Names of the classes of the model, in their order.

    Raises:
        InputError: There is no such table or part, something is wrong in it, or it has other classes than these.
    """
    return _images(choose_part(label_parts(data), part, where=data), classes, data)


def multilabel_split(
    data: str | os.PathLike[str], val: str | os.PathLike[str] | None = None, *, val_ratio: HeldOut = 0.1, seed: int = 0
) -> tuple[MultilabelImages, MultilabelImages]:
    """Lists training and validation images.

    Args:
        data: A CSV table, see `read_label_table`, which may name parts in a column; or a folder with a table for each
            part: train.csv, val.csv. A part test is left alone.
        val: Validation images in one of these layouts, with the classes of `data`. Wins over a part val in `data`.
        val_ratio: Without these, the share of each class's images that is held out, and of those without a label.
        seed: Decides which images are held out.

    Raises:
        InputError: As `multilabel_part`; or no validation image has a label.
    """
    parts = label_parts(Path(data))
    given = {} if val is None else label_parts(Path(val))
    chosen = part_to_train_on(parts, where=Path(data))
    train = _images(chosen, chosen.classes, Path(data))
    validation = next((given[name] for name in ("val", "", "test", "train") if name in given), parts.get("val"))
    if validation is not None:
        held_out = _images(validation, train.classes, Path(val or data))
    else:
        say_of_held_out(parts, val_ratio)
        places = _hold_out(train, val_ratio, seed, Path(data))
        train, held_out = (train.select(np.flatnonzero(part).tolist()) for part in (~places, places))
    if not held_out.labels.any():
        raise InputError(
            "no image to validate on has a label",
            where=val or data,
            expected="at least one image with a label, better one of each class",
            fix="more images, val_ratio=0.2, or val=FILE.csv",
        )
    return train, held_out


def has_label_sets(data: Path) -> bool:
    """Whether data is a table, or a folder of tables of parts, whose images plainly have several labels each."""
    tables = [data] if data.is_file() else _tables(data).values()
    return any(path.suffix.lower() in TABLES and has_several_labels(path) for path in tables)


def label_parts(data: Path) -> dict[str, LabelTable]:
    """The parts of a table or of a folder of tables; "" for a table that names none.

    Raises:
        InputError: There is no such table, or something is wrong in it.
    """
    if data.is_file():
        table = read_label_table(data)
        return {part: table.part(part) for part in (*PARTS, "") if part in table.parts.values()}
    named, tables = _tables(data), matching(data, "*.csv")
    if "train" not in named:
        raise InputError(
            "this is a folder, and several labels of an image stand in a table" if data.is_dir() else "no such file",
            where=data,
            expected="a CSV table of images with their labels, or a folder with train.csv and val.csv",
            fix=f"data={tables[0]}" if tables else "data=FILE.csv",
        )
    return {part: read_label_table(path) for part, path in named.items()}


def _tables(data: Path) -> dict[str, Path]:
    """The tables in a folder that are named after parts."""
    files = (path for path in children(data) if path.suffix.lower() in TABLES and not is_left_out(path.name))
    return by_part(files, where=data)


def _images(table: LabelTable, classes: Sequence[str], where: Path) -> MultilabelImages:
    known = {nfc(name) for name in classes}
    if unknown := sorted({name for names in table.labels.values() for name in names} - known):
        raise InputError(
            f"unknown classes: {listed_names(unknown)}",
            where=where,
            expected=f"the classes of the training data or checkpoint: {listed_names(list(classes))}",
            fix="rename or remove these classes",
        )
    labels = np.array([[nfc(name) in names for name in classes] for names in table.labels.values()], dtype=np.float32)
    return MultilabelImages(paths=list(table.labels), labels=labels, classes=list(classes))


def _hold_out(images: MultilabelImages, share: HeldOut, seed: int, where: Path) -> np.ndarray:
    """Which images to validate on, bool [n].

    The rarest class chooses first, and images that it left are there no more: so rare classes have their share in both
    parts (Sechidis et al., On the Stratification of Multi-Label Data, 2011).
    """
    has_label = images.labels > 0
    groups = dict(zip(images.classes, has_label.T, strict=True)) | {"": ~has_label.any(1)}
    held_out, decided = np.zeros(len(images), bool), np.zeros(len(images), bool)
    for place, (name, members) in enumerate(sorted(groups.items(), key=lambda group: group[1].sum())):
        number, free = int(members.sum()), np.flatnonzero(members & ~decided)
        rng = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "surrogateescape"))])
        if isinstance(share, Fold):
            if name:
                check_folds(share, number, f"class {name}", where=where)
            held_out[rng.permutation(free)[(share.number - 1 + place) % share.of :: share.of]] = True
        else:
            wanted = min(max(1, round(share * number)), number - 1) - int(held_out[members].sum())
            held_out[rng.permutation(free)[: max(0, wanted)]] = True
        decided |= members
    return held_out
