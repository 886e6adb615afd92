"""Images of one class each, from any of the formats, in two parts: to train and to validate."""

import os
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastitpn.console import say
from fastitpn.data.classification.formats.base import listed_names
from fastitpn.data.classification.formats.registry import recognise
from fastitpn.data.classification.parts import ClassPart, class_parts
from fastitpn.data.fold import Fold, HeldOut
from fastitpn.data.images.folders import inner_folder
from fastitpn.data.images.named_files import nfc
from fastitpn.data.parts import choose_part, part_to_train_on, say_of_held_out
from fastitpn.data.splitting import check_folds
from fastitpn.errors import InputError


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """Images with one class each."""

    paths: list[Path]
    labels: list[int]
    """Index into `classes`, per image."""
    classes: list[str]
    """Class names in alphabetical order, or in the order that was asked for."""

    def __len__(self) -> int:
        return len(self.paths)

    def counts(self) -> list[int]:
        """Images of each class."""
        return np.bincount(self.labels, minlength=len(self.classes)).tolist()

    def select(self, indices: Sequence[int]) -> "LabelledImages":
        """The images at these positions, with the same classes."""
        return LabelledImages(
            paths=[self.paths[i] for i in indices], labels=[self.labels[i] for i in indices], classes=self.classes
        )


def labelled(path: str | os.PathLike[str], classes: Sequence[str] | None = None) -> LabelledImages:
    """Lists images with their classes.

    Args:
        path: Data in one of the `FORMATS`, such as a folder with one sub-folder per class.
        classes: Names in the order of their index, when a model already has them (validation, evaluation); otherwise
            they are the names found, in alphabetical order.

    Raises:
        InputError: Nothing usable is there; without `classes`, an empty class folder or fewer than two classes; with
            them, images of other classes.
    """
    return _labelled(ClassPart(path=Path(path)), classes)


def labelled_part(data: Path, part: str | None, classes: Sequence[str]) -> LabelledImages:
    """Lists the images to evaluate a model on; of data with parts those of one, see `choose_part`.

    Args:
        data: What `labelled_split` takes.
        part: Name of the part; None leaves it open.
        classes: Names of the classes of the model, in their order.

    Raises:
        InputError: As `labelled`; or the part is not there.
    """
    return _labelled(choose_part(class_parts(data), part, where=data), classes)


def _labelled(part: ClassPart, classes: Sequence[str] | None) -> LabelledImages:
    by_class, path = part.read(), part.path
    if classes is None:
        classes = sorted(by_class)
        empty = [name for name in classes if not by_class[name]]
        if empty:
            raise InputError(
                f"class folders without images: {listed_names(empty)}",
                where=path,
                expected="images of every class",
                fix="remove or fill these folders",
            )
        if len(classes) < 2:
            inner = inner_folder(path) or path / classes[0]
            raise InputError(
                f"there is only one class: {classes[0]}",
                where=path,
                expected="at least two classes",
                fix=f"data={inner}, whose folders look like classes"
                if recognise(inner)
                else "add a sub-folder (or rows of the table) for another class",
            )
    by_class = _as_known(by_class, classes, path)
    index = {name: i for i, name in enumerate(classes)}
    pairs = [(image, index[name]) for name, images in sorted(by_class.items()) for image in images]
    return LabelledImages(
        paths=[image for image, _ in pairs], labels=[label for _, label in pairs], classes=list(classes)
    )


def _as_known(by_class: dict[str, list[Path]], classes: Sequence[str], where: Path) -> dict[str, list[Path]]:
    """The images by the names of known classes: in another Unicode form, or else in another case, it is the same name.

    Raises:
        InputError: There are images of other classes.
    """
    known = {nfc(name): name for name in classes}
    lowered = Counter(nfc(name).casefold() for name in classes)
    loosely = {nfc(name).casefold(): name for name in classes if lowered[nfc(name).casefold()] == 1}
    result: dict[str, list[Path]] = {}
    unknown = []
    for name, images in by_class.items():
        same = known.get(nfc(name)) or loosely.get(nfc(name).casefold())
        if same is None:
            unknown += [name] if images else []
            continue
        if nfc(same) != nfc(name):
            say(f"the class {name} of {where} is taken for {same}")
        result.setdefault(same, []).extend(images)
    if unknown:
        raise InputError(
            f"unknown classes: {listed_names(sorted(unknown))}",
            where=where,
            expected=f"the classes of the training data or checkpoint: {listed_names(list(classes))}",
            fix="rename or remove these classes",
        )
    return result


def labelled_split(
    data: str | os.PathLike[str], val: str | os.PathLike[str] | None = None, *, val_ratio: HeldOut = 0.1, seed: int = 0
) -> tuple[LabelledImages, LabelledImages]:
    """Lists training and validation images; no file is in both unless `data` and `val` overlap.

    Args:
        data: What `labelled` takes, or parts of that form, see `class_parts`; a part test is left alone.
        val: Validation images with the classes of `data`; of parts val. Wins over a part val in `data`.
        val_ratio: Without any of these, the share of each class that is held out, in [0, 1). A class of two or more
            images gives at least one and keeps at least one; 0 holds out nothing. Or a fold of each class.
        seed: Decides which images are held out. Per class, so that a change in one class leaves the others alone.

    Raises:
        InputError: As `labelled`; or `val_ratio` is out of range, or no class has two images.
    """
    data = Path(data)
    parts = class_parts(data)
    train = _labelled(part_to_train_on(parts, where=data, path=lambda part: part.path), None)
    given = {} if val is None else class_parts(Path(val))
    validation = next((given[name] for name in ("val", "", "test", "train") if name in given), parts.get("val"))
    if validation is not None:
        return train, _labelled(validation, train.classes)
    if val_ratio:
        say_of_held_out(parts, val_ratio)
    if isinstance(val_ratio, float | int) and not 0 <= val_ratio < 1:
        raise InputError(f"val_ratio is {val_ratio}", expected="0 <= val_ratio < 1", fix="val_ratio=0.1")
    held_out = _hold_out(train, val_ratio, seed, data) if val_ratio else set()
    if val_ratio and not held_out:
        raise InputError(
            "no class has two images, so none can be held out for validation",
            where=data,
            expected="at least two images in a class",
            fix="add images, or give validation images: val=FOLDER",
        )
    return (
        train.select([i for i in range(len(train)) if i not in held_out]),
        train.select(sorted(held_out)),
    )


def _hold_out(images: LabelledImages, share: HeldOut, seed: int, where: Path) -> set[int]:
    held_out: set[int] = set()
    labels = np.asarray(images.labels)
    for label, name in enumerate(images.classes):
        members = np.flatnonzero(labels == label)
        rng = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "surrogateescape"))])
        if isinstance(share, Fold):
            check_folds(share, len(members), f"class {name}", where=where)
            first = (share.number - 1 + label) % share.of  # else the first folds would get what is left of all classes
            held_out.update(rng.permutation(members)[first :: share.of].tolist())
            continue
        count = min(max(1, round(share * len(members))), len(members) - 1)
        if count > 0:
            held_out.update(rng.permutation(members)[:count].tolist())
    return held_out
