"""Images with boxes and masks, from any of the formats, in two parts: to train and to validate."""

from pathlib import Path

from fastitpn.console import say
from fastitpn.data.detection.annotations import Annotations, DetectionClasses, DetectionImages
from fastitpn.data.detection.formats.registry import nothing_to_use, open_annotations
from fastitpn.data.detection.problems import OnError, Problem, stop_or_say
from fastitpn.data.detection.reading import scan
from fastitpn.data.fold import HeldOut
from fastitpn.data.parts import part_of, say_of_held_out, say_of_test
from fastitpn.data.splitting import hold_out
from fastitpn.errors import InputError

__all__ = [
    "Annotations",
    "DetectionClasses",
    "DetectionImages",
    "detection_images",
    "detection_split",
    "left_out_of",
]

_FIX = "add images, or give validation data: val=FILE.json"


def detection_split(
    data: Path,
    val: Path | None = None,
    *,
    images: Path | None = None,
    val_ratio: HeldOut = 0.1,
    seed: int = 0,
    on_error: OnError = "stop",
    with_masks: bool | None = None,
) -> tuple[DetectionImages, DetectionImages]:
    """Training and validation images, every one of which was decoded and every annotation checked.

    Args:
        data: A file or folder in one of the `FORMATS`.
        val: Another, to validate on; None takes the `val` part of the data, else splits it.
        images: Folder that the file names in `data` and `val` begin at; None finds it.
        val_ratio: Share of the images to hold out if there is no other validation data, in (0, 1).
        seed: Decides which images are held out.
        on_error: Stop with one error that lists what is wrong, or leave it out and print how much and what.
        with_masks: Whether every annotation needs a mask; False takes boxes alone, None what each part has.

    Returns:
        Both parts with the labels of the first.

    Raises:
        InputError: Nothing that fits is there, or what is there is wrong.
    """
    parts = open_annotations(data, images)
    train_part = parts.find("train") or parts.find("") or nothing_to_use(data)
    if line := say_of_test(dict.fromkeys(parts.names)):
        say(line)
    val_parts = parts if val is None else open_annotations(val, images)
    val_part = val_parts.find("val")
    if val is not None:
        val_part = val_part or val_parts.find("") or nothing_to_use(val)
    train = scan(train_part, with_masks=with_masks)
    if val_part is None:
        stop_or_say(train.problems, on_error, left_out=train.left_out)
        _say_notes(train)
        say_of_held_out(parts.names, val_ratio)
        indices = hold_out(len(_not_empty(train)), val_ratio, seed, where=train.path, fix=_FIX)
        return _not_empty(train.select(indices[0])), _not_empty(train.select(indices[1]))
    held_out = scan(val_part, with_masks=with_masks, classes=train.classes)
    problems, left_out = left_out_of(train, held_out)
    stop_or_say(problems, on_error, left_out=left_out)
    _say_notes(train, held_out)
    return _not_empty(train), _not_empty(held_out)


def left_out_of(*parts: DetectionImages) -> tuple[list[Problem], tuple[int, int]]:
    """What is wrong in parts of the data, and how many images and annotations are not used because of that.

    Args:
        parts: Training and validation images; parts of one file have the same problems, which are counted once.
    """
    of_files = {(part.path, part.problems): part for part in parts}.values()
    images, annotations = (sum(part.left_out[place] for part in of_files) for place in (0, 1))
    return [problem for part in of_files for problem in part.problems], (images, annotations)


def detection_images(
    data: Path,
    *,
    part: str | None = None,
    images: Path | None = None,
    classes: DetectionClasses | None = None,
    on_error: OnError = "stop",
    with_masks: bool | None = None,
) -> DetectionImages:
    """Images to evaluate on: the `val` part of the data, else `test`, else all of it, else `train`, which is said.

    Args:
        data: A file or folder in one of the `FORMATS`.
        part: Another part, by any name that means "train", "val" or "test".
        images: Folder that the file names in `data` begin at; None finds it.
        classes: Classes of the model, whose labels are taken by name; None takes those of the data.
        on_error: Stop with one error that lists what is wrong, or leave it out and print how much and what.
        with_masks: Whether every annotation needs a mask; False takes boxes alone, None what there is.

    Raises:
        InputError: Nothing that fits is there, or what is there is wrong.
    """
    parts = open_annotations(data, images)
    names = ("val", "test", "") if part is None else (part_of(part) or part,)
    chosen = next((of_name for name in names if (of_name := parts.find(name))), None)
    if part is not None and chosen is None:
        raise InputError(
            f"there is no part {part!r} in this data",
            where=data,
            expected=f"one of {', '.join(filter(None, parts.names))}" if any(parts.names) else "data with parts",
            fix="leave part= out",
        )
    if chosen is None and (chosen := parts.find("train")) is not None:
        say("evaluated on the part train: there is no other")
    annotated = scan(chosen or nothing_to_use(data), with_masks=with_masks, classes=classes)
    stop_or_say(annotated.problems, on_error, left_out=annotated.left_out)
    _say_notes(annotated)
    return _not_empty(annotated)


def _say_notes(*parts: DetectionImages) -> None:
    """Says what deserves a line; parts of one file, or of several with the same line, say it once."""
    for line in dict.fromkeys(f"{part.path.name}: {note}" for part in parts for note in (*part.notes, *_ignored(part))):
        say(line)


def _ignored(part: DetectionImages) -> list[str]:
    count = len(part.without_masks)
    return (
        [f"{count} annotations have no mask: at them, nothing is a target and no detection is wrong"] if count else []
    )


def _not_empty(images: DetectionImages) -> DetectionImages:
    if images.num_annotations:
        return images
    what = "there are no annotations" if not images.problems else "no annotations are left"
    raise InputError(
        f"{what} in this {'folder' if images.path.is_dir() else 'file'}, for {len(images)} images",
        where=images.path,
        expected="images with annotations",
        fix="annotate images, or correct what is listed above",
    )
