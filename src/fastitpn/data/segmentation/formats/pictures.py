"""Masks as pictures: what all layouts of them share, once they say which mask belongs to which image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from fastitpn.console import say
from fastitpn.data.detection.problems import Problem
from fastitpn.data.fold import HeldOut
from fastitpn.data.images.mask_names import Pair
from fastitpn.data.parts import choose_part, say_of_held_out, say_of_test
from fastitpn.data.segmentation.classes import IGNORE, SegmentationClasses
from fastitpn.data.segmentation.formats.base import MaskFormat, UncheckedPart
from fastitpn.data.segmentation.mask_files import MaskContent
from fastitpn.data.segmentation.masked_images import MaskedImages, MaskFolders
from fastitpn.data.segmentation.masks import Labels, MaskReader
from fastitpn.data.segmentation.numbering import settle
from fastitpn.data.segmentation.pairs import CheckedPairs, check_pairs, look_at_pairs, read_pair
from fastitpn.data.splitting import hold_out
from fastitpn.errors import InputError

_MOST_LISTED = 20


@dataclass(frozen=True, kw_only=True)
class MaskPictures:
    """Which mask belongs to which image.

    Attributes:
        parts: Pairs by part: "train", "val" and "test" as far as they are there, or all under "".
        lines: What to say of how they were found.
        classes: What the layout says of its classes, where no file names them.
    """

    parts: dict[str, list[Pair]]
    lines: tuple[str, ...] = ()
    classes: SegmentationClasses | None = None

    def named(self, classes: SegmentationClasses) -> SegmentationClasses:
        """The classes of a file, or if it has no names, those of the layout, with what keys say of the numbers."""
        if self.classes is None:
            return classes
        if classes.names:
            same = len(classes.names) == len(self.classes.names) and not classes.values
            return replace(classes, values=self.classes.values, left_out=self.classes.left_out) if same else classes
        return replace(self.classes, ignore_index=classes.ignore_index) if classes.ignore_is_given else self.classes


Find = Callable[[MaskFolders], MaskPictures]


def picture_format(
    *,
    title: str,
    layout: str,
    recognise: Callable[[MaskFolders, str], bool],
    claims: Callable[[MaskFolders], bool],
    find: Find,
) -> MaskFormat:
    """A format whose masks are pictures, by `find`: the pairs of a folder, or `InputError` if there are none."""
    return MaskFormat(
        title=title,
        layout=layout,
        recognise=recognise,
        claims=claims,
        split=partial(_split, find),
        images=partial(_images, find),
        parts=partial(_parts, find),
    )


def _split(
    find: Find, folders: MaskFolders, classes: SegmentationClasses, val: Path | None, *, val_ratio: HeldOut, seed: int
) -> tuple[MaskedImages, MaskedImages]:
    pictures = find(folders)
    for line in filter(None, (*pictures.lines, say_of_test(pictures.parts))):
        say(line)
    train = _trained(pictures, folders)
    if val is not None:
        held_out = _evaluated(find(replace(folders, data=val)))
    elif "val" in pictures.parts:
        held_out = pictures.parts["val"]
    else:
        say_of_held_out(pictures.parts, val_ratio)
        fix = "add images, or give validation images: val=FOLDER"
        both = hold_out(len(train), val_ratio, seed, where=folders.data, fix=fix)
        train, held_out = ([train[place] for place in places] for places in both)
    pairs = [*train, *held_out]
    checked, reader, classes = _check(pairs, pictures.named(classes), folders)
    labels = checked.part(range(len(train))).labels()
    if len(labels) < 2:
        raise _one_class(folders, classes, labels)
    if missing := [name for label, name in enumerate(classes.names) if label not in labels]:
        more = f" and {len(missing) - _MOST_LISTED} more" if len(missing) > _MOST_LISTED else ""
        say(f"classes without a pixel in the training masks: {', '.join(missing[:_MOST_LISTED])}{more}")
    result = []
    for name, part in (("train", range(len(train))), ("validate", range(len(train), len(pairs)))):
        kept = checked.part(part)
        if not kept.places:
            raise InputError(f"no images are left to {name} on", where=folders.data, fix="correct the files above")
        result.append(_masked(pairs, kept, classes, reader))
    return result[0], result[1]


def _images(find: Find, folders: MaskFolders, classes: SegmentationClasses) -> MaskedImages:
    pictures = find(folders)
    for line in pictures.lines:
        say(line)
    pairs = choose_part(pictures.parts, folders.part, where=folders.data)
    checked, reader, classes = _check(pairs, pictures.named(classes), folders)
    if not any(label != IGNORE for counts in checked.counts for label in counts):
        raise _one_class(folders, classes, set())
    return _masked(pairs, checked, classes, reader)


def _trained(pictures: MaskPictures, folders: MaskFolders) -> list[Pair]:
    for part in ("train", ""):
        if part in pictures.parts:
            return pictures.parts[part]
    raise InputError(
        f"there are no images to train on, only the parts {' and '.join(pictures.parts)}",
        where=folders.data,
        expected="a part train, or images without parts",
        fix="name a part train",
    )


def _evaluated(pictures: MaskPictures) -> list[Pair]:
    return next(pictures.parts[part] for part in ("val", "test", "", "train") if part in pictures.parts)


def _check(
    pairs: Sequence[Pair], classes: SegmentationClasses, folders: MaskFolders
) -> tuple[CheckedPairs, MaskReader, SegmentationClasses]:
    """The pairs to use, how to read them, and the classes, which get numbers for names if they have none."""
    contents = look_at_pairs(pairs)
    try:
        reader, lines = settle([content for content in contents if isinstance(content, MaskContent)], classes)
    except InputError as error:
        raise InputError(error.what, where=folders.data, expected=error.expected, fix=error.fix) from error
    checked = check_pairs(pairs, contents, reader, on_error=folders.on_error)
    if empty := sum(set(counts) <= {IGNORE} for counts in checked.counts):
        lines.append(f"{empty} of {len(pairs)} masks have no pixel that counts: all of it is left out")
    for line in lines:
        say(line)
    highest = max((label for counts in checked.counts for label in counts if label != IGNORE), default=-1)
    if not classes.names and not classes.values and highest < 1:
        raise _one_class(folders, classes, checked.labels())
    classes = replace(classes, values=reader.values).numbered(highest + 1)
    return checked, reader, classes


def _one_class(folders: MaskFolders, classes: SegmentationClasses, labels: set[int]) -> InputError:
    names = [classes.names[label] for label in labels if classes.names]
    left_out = f"; {classes.ignore_index} is left out" if classes.ignore_index == IGNORE else ""
    return InputError(
        "the masks hold fewer than two classes" + (f": {names[0]} alone{left_out}" if names else ""),
        where=folders.data,
        expected="at least two different numbers of classes in the masks to train on",
        fix="name the classes in classes.yaml, or correct ignore_index and reduce_zero_label; "
        "masks.values=0,255 if 255 is a class",
    )


def _masked(
    pairs: Sequence[Pair], checked: CheckedPairs, classes: SegmentationClasses, reader: MaskReader
) -> MaskedImages:
    kept = [pairs[place] for place in checked.places]
    return MaskedImages(
        images=[image for image, _ in kept],
        masks=[mask for _, mask in kept if mask is not None],
        classes=classes,
        reader=reader,
        counts=tuple(sum(counts.get(label, 0) for counts in checked.counts) for label in range(len(classes.names))),
    )


def _parts(
    find: Find, folders: MaskFolders, classes: SegmentationClasses, val: Path | None
) -> tuple[dict[str, UncheckedPart], SegmentationClasses]:
    pictures = find(folders)
    pairs_of = dict(pictures.parts)
    if val is not None:
        pairs_of = {"train": _trained(pictures, folders), "val": _evaluated(find(replace(folders, data=val)))}
    classes = pictures.named(classes)
    pairs = [pair for part in pairs_of.values() for pair in part]
    contents = [content for content in look_at_pairs(pairs) if isinstance(content, MaskContent)]
    problems, lines = [], list(pictures.lines)
    try:
        reader, settled = settle(contents, classes)
        lines += settled
    except InputError as error:
        reader = MaskReader.of(classes)
        problems = [Problem(kind="fewer than two classes", what=f"{error.what}; {error.fix}", file=folders.data)]
    parts = {
        name: UncheckedPart(
            images=[image for image, _ in part],
            labels=partial(_read, part, reader),
            masks=[mask for _, mask in part],
            problems=problems if number == 0 else [],
        )
        for number, (name, part) in enumerate(pairs_of.items())
    }
    for line in lines:
        say(line)
    return parts, replace(classes, values=reader.values)


def _read(pairs: Sequence[Pair], reader: MaskReader, index: int) -> Labels:
    return read_pair(*pairs[index], reader)
