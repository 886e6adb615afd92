"""Builds a data set of scenes, or finds that it is already there."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastitpn.data.scenes import forms as write
from fastitpn.data.scenes.labels import CLASSES
from fastitpn.data.scenes.sources import Pool, describe_sources, split_pools
from fastitpn.data.scenes.studio import Studio
from fastitpn.errors import InputError
from fastitpn.files import new_folder
from fastitpn.json_text import from_json
from fastitpn.listing import is_empty

FORMS = ("unlabelled", "classify", "detect", "segment", "panoptic")
_RECORD = "scenes.json"
_FORMAT = "fastitpn-scenes-2"  # a change of what the same parameters give needs another number


@dataclass(frozen=True, kw_only=True)
class SceneSet:
    """A data set of scenes on the disk.

    Attributes:
        directory: Holds `scenes.json` and a folder for each form.
        classes: In the order of their indices.
        counts: "form/split" -> number of scenes.
        reused: Whether it was there already.
    """

    directory: Path
    classes: tuple[str, ...]
    counts: dict[str, int]
    reused: bool

    @property
    def unlabelled(self) -> Path:
        """Folder of images."""
        return self.directory / "unlabelled"

    @property
    def train(self) -> Path:
        """Folder with a folder of images per class."""
        return self.directory / "classify" / "train"

    @property
    def val(self) -> Path:
        """Folder with a folder of images per class, of other glyphs on other photographs than `train`."""
        return self.directory / "classify" / "val"


def build_scenes(
    out: Path | str,
    *,
    unlabelled: int = 3000,
    train_per_class: int = 40,
    val_per_class: int = 100,
    classes: int = 6,
    px: tuple[int, int] = (64, 128),
    forms: Sequence[str] = ("unlabelled", "classify"),
    detect: tuple[int, int] = (300, 100),
    segment: tuple[int, int] = (300, 100),
    panoptic: tuple[int, int] = (300, 100),
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> SceneSet:
    """Composes scenes of glyphs on photographs, all from pip packages, nothing fetched.

    No glyph and no photograph of a validation scene is in any training or unlabelled scene; `scenes.json` lists them.
    The same arguments and package versions give the same files. They appear at `out` all at once or not at all.

    Args:
        out: Folder to make. If it holds scenes of the same arguments, they are used.
        unlabelled: Number of scenes without labels.
        train_per_class: Number of training scenes of each class.
        val_per_class: Number of validation scenes of each class.
        classes: 2 to 10: the first of `CLASSES`.
        px: Shortest and longest side of a scene.
        forms: Names of the forms to write, among `FORMS`.
        detect: Numbers of training and validation scenes with boxes and masks in COCO's format.
        segment: Numbers of training and validation scenes with an index mask (0 = background).
        panoptic: Numbers of training and validation scenes with segments in COCO's panoptic format.
        seed: Decides how glyphs are split, and what the scenes are.
        progress: Called after each scene with the number of scenes done and of all scenes.

    Raises:
        InputError: A package of `fastitpn[demo]` is missing, an argument is out of range, `out` holds something else,
            or it cannot be written.
    """
    out = Path(out)
    parameters = {"classes": classes, "px": list(px), "seed": seed}
    numbers: dict[str, tuple[int, ...]] = {
        "unlabelled": (unlabelled,),
        "classify": (train_per_class, val_per_class),
        "detect": tuple(detect),
        "segment": tuple(segment),
        "panoptic": tuple(panoptic),
    }
    _check(classes, px, forms, numbers)
    parameters |= {form: list(numbers[form]) for form in FORMS if form in forms}
    if existing := _find(out, parameters):
        return existing
    pools = split_pools(seed)
    names = tuple(CLASSES)[:classes]
    try:
        with new_folder(out) as folder:
            record = _write(folder, pools, parameters, names, progress or (lambda done, total: None))
            (folder / _RECORD).write_text(json.dumps(record, indent=1))
    except OSError as error:
        raise InputError(
            f"The scenes could not be written: {error.strerror or error}",
            where=out,
            expected=f"a writable folder {out.absolute().parent} with room for them",
            fix="make room, or give another folder",
        ) from error
    return SceneSet(directory=out, classes=names, counts=record["counts"], reused=False)


def _write(
    folder: Path,
    pools: dict[str, Pool],
    parameters: dict,
    classes: tuple[str, ...],
    progress: Callable[[int, int], None],
) -> dict:
    jobs = [
        (form, split, count * (len(classes) if form == "classify" else 1))
        for form in FORMS
        for split, count in zip(("train", "val"), parameters.get(form, ()), strict=False)
    ]
    total, finished = sum(count for _, _, count in jobs), 0

    def done() -> None:
        nonlocal finished
        finished += 1
        progress(finished, total)

    used = {}
    for form, split, count in jobs:
        key = (parameters["seed"], 1 + FORMS.index(form), split == "val")
        studio = Studio(pools[split], px=tuple(parameters["px"]), key=key)
        if form == "unlabelled":
            write.write_unlabelled(studio, folder, count, done)
        elif form == "classify":
            write.write_classify(studio, folder, split, classes, count // len(classes), done)
        else:
            writers = {"detect": write.write_detect, "segment": write.write_segment, "panoptic": write.write_panoptic}
            writers[form](studio, folder, split, classes, count, done)
        used[f"{form}/{split}"] = {
            "glyphs": sorted(studio.glyphs_used),
            "photographs": sorted(studio.photographs_used),
        }
    return {
        "format": _FORMAT,
        "parameters": parameters,
        "classes": classes,
        "counts": {f"{form}/{split}": count for form, split, count in jobs},
        "split": {split: _describe(pool) for split, pool in pools.items()},
        "used": used,
        "sources": describe_sources(),
    }


def _describe(pool: Pool) -> dict:
    glyphs = {label: [glyph.name for glyph in members] for label, members in pool.glyphs.items()}
    return {"glyphs": glyphs, "photographs": list(pool.photographs)}


def _find(out: Path, parameters: dict) -> SceneSet | None:
    if not out.exists() or (out.is_dir() and is_empty(out)):
        return None
    try:
        record = from_json((out / _RECORD).read_text())
        same = record["format"] == _FORMAT and record["parameters"] == parameters
    except (OSError, ValueError, LookupError, TypeError):
        raise InputError(
            "This folder holds something other than scenes",
            where=out,
            expected="a folder that does not exist yet, or scenes built before",
            fix="give another folder",
        ) from None
    if not same:
        raise InputError(
            "This folder holds scenes that were built with other arguments",
            where=out / _RECORD,
            expected=f"parameters {json.dumps(parameters)}",
            fix="give another folder, or remove this one",
        )
    return SceneSet(directory=out, classes=tuple(record["classes"]), counts=record["counts"], reused=True)


def _check(classes: int, px: tuple[int, int], forms: Sequence[str], numbers: dict[str, tuple[int, ...]]) -> None:
    if not forms or set(forms) - set(FORMS):
        raise InputError(f"Scenes in the forms {list(forms)}", where="forms", expected=f"one or more of {list(FORMS)}")
    if not 2 <= classes <= len(CLASSES):
        raise InputError(f"Scenes of {classes} classes", where="classes", expected=f"2 to {len(CLASSES)}")
    if not 32 <= px[0] <= px[1]:
        raise InputError(f"Scenes of {px[0]} to {px[1]} px", where="px", expected="shortest, longest side; at least 32")
    for form in forms:
        if min(numbers[form]) < 1:
            raise InputError(f"{min(numbers[form])} scenes", where=form, expected="at least 1")
