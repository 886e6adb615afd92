"""The two parts of a data set: found by their names, or held out by the seed."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from fastitpn.data.fold import Fold, HeldOut
from fastitpn.errors import InputError

PartT = TypeVar("PartT")


def train_and_val(
    find: Callable[[str], PartT | None], find_in_val: Callable[[str], PartT | None] | None = None
) -> dict[str, PartT]:
    """The parts by name: "train" and "val" if both are there, else "" for the one that is, if any.

    Args:
        find: The part of a name in the data; of "" what is of no part.
        find_in_val: Finds a part of the validation data by its name; None if that is in the data.
    """
    train = find("train") or find("")
    val = find("val") if find_in_val is None else find_in_val("val") or find_in_val("")
    parts = {"train": train, "val": val} if train and val else {"": train or val}
    return {name: part for name, part in parts.items() if part is not None}


def hold_out(count: int, share: HeldOut, seed: int, *, where: Path, fix: str) -> tuple[list[int], list[int]]:
    """Places of the images to train and to validate on, both in ascending order and neither empty.

    Args:
        count: Number of images.
        share: Share to validate on, in (0, 1), or a fold.
        seed: Decides which, together with the count.
        where: The data, for the error.
        fix: How to give other images, for the error.

    Raises:
        InputError: There is one image, or there are fewer than folds.
    """
    if count < 2:
        raise InputError(
            "there is only one image, so none can be held out for validation",
            where=where,
            expected="at least two images",
            fix=fix,
        )
    shuffled = np.random.default_rng([seed, count]).permutation(count)
    if isinstance(share, Fold):
        check_folds(share, count, "the data", where=where)
        chosen = set(shuffled[share.number - 1 :: share.of].tolist())
    else:
        chosen = set(shuffled[: min(max(1, round(share * count)), count - 1)].tolist())
    return [place for place in range(count) if place not in chosen], sorted(chosen)


def check_folds(fold: Fold, count: int, whose: str, *, where: Path) -> None:
    """Make sure that every fold gets an image.

    Args:
        fold: One of them.
        count: Number of images to share out.
        whose: What has so many images, such as "class cat".
        where: The data, for the error.

    Raises:
        InputError: There are more folds.
    """
    if count < fold.of:
        raise InputError(
            f"folds={fold.of}, but {whose} has {count} image{'s' * (count != 1)}",
            where=where,
            expected="at least one image of it in each fold",
            fix=f"folds={count}" if count > 1 else "more images of it, or leave folds out",
        )
