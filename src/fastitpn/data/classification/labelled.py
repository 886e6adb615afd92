"""Images of one class each, from any of the formats, in two parts: to train and to validate."""

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fastitpn.data.classification.formats.base import listed_names
from fastitpn.data.classification.formats.registry import format_of
from fastitpn.data.images.folders import train_and_val_folders
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
    path = Path(path)
    by_class = format_of(path).read(path)
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
            raise InputError(
                f"there is only one class: {classes[0]}",
                where=path,
                expected="at least two classes",
                fix="add a sub-folder (or rows of the table) for another class",
            )
    unknown = sorted({name for name, images in by_class.items() if images} - set(classes))
    if unknown:
        raise InputError(
            f"unknown classes: {listed_names(unknown)}",
            where=path,
            expected=f"the classes of the training data or checkpoint: {listed_names(list(classes))}",
            fix="rename or remove these classes",
        )
    index = {name: i for i, name in enumerate(classes)}
    pairs = [(image, index[name]) for name, images in sorted(by_class.items()) for image in images]
    return LabelledImages(
        paths=[image for image, _ in pairs], labels=[label for _, label in pairs], classes=list(classes)
    )


def labelled_split(
    data: str | os.PathLike[str], val: str | os.PathLike[str] | None = None, *, val_ratio: float = 0.1, seed: int = 0
) -> tuple[LabelledImages, LabelledImages]:
    """Lists training and validation images; no file is in both unless `data` and `val` overlap.

    Args:
        data: What `labelled` takes; or a folder with `train` and `val` (or `valid`, `validation`), each of that form.
        val: Validation images, as `labelled`, with the classes of `data`. Wins over a `val` folder in `data`.
        val_ratio: Without any of these, the share of each class that is held out, in [0, 1). A class of two or more
            images gives at least one and keeps at least one; 0 holds out nothing.
        seed: Decides which images are held out. Per class, so that a change in one class leaves the others alone.

    Raises:
        InputError: As `labelled`; or `val_ratio` is out of range, or no class has two images.
    """
    split = train_and_val_folders(Path(data))
    if split:
        data, val = split[0], val or split[1]
    train = labelled(data)
    if val is not None:
        return train, labelled(val, train.classes)
    if not 0 <= val_ratio < 1:
        raise InputError(f"val_ratio is {val_ratio}", expected="0 <= val_ratio < 1", fix="val_ratio=0.1")
    held_out = _hold_out(train, val_ratio, seed) if val_ratio else set()
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


def _hold_out(images: LabelledImages, ratio: float, seed: int) -> set[int]:
    held_out: set[int] = set()
    labels = np.asarray(images.labels)
    for label, name in enumerate(images.classes):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(ratio * len(members))), len(members) - 1)
        if count > 0:
            rng = np.random.default_rng([seed, zlib.crc32(name.encode("utf-8", "surrogateescape"))])
            held_out.update(rng.permutation(members)[:count].tolist())
    return held_out
