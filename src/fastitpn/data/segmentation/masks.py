"""Masks as they are on the disk: one number per pixel. They are read, checked against their images, never guessed."""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from rich.console import Console
from rich.progress import track

from fastitpn.console import say
from fastitpn.data.images.decode import upright_size, verify_image
from fastitpn.data.segmentation.classes import IGNORE, MOST_CLASSES, SegmentationClasses
from fastitpn.errors import InputError

Labels = NDArray[np.uint8]

_EXPECTED = "an index mask: a PNG, gray or with a palette, whose pixels are the numbers of their classes"
_SPREAD = {"L;2": 85, "L;4": 17}
"""Pillow spreads the numbers of PNGs with 2 and 4 bits over 0..255."""
_MOST_LISTED = 10
_SHOW_PROGRESS_FROM = 2000
_CHUNK = 16


@dataclass(frozen=True, kw_only=True)
class MaskReader:
    """Reads masks as labels: 0 to the number of classes less one, and `IGNORE`.

    Attributes:
        num_classes: None while it is not known: then all numbers are taken.
        ignore_index: Number in the files of pixels to leave out.
        reduce_zero_label: Number 0 in the files is left out, and 1 is label 0.
    """

    num_classes: int | None = None
    ignore_index: int = IGNORE
    reduce_zero_label: bool = False

    @classmethod
    def of(cls, classes: SegmentationClasses) -> "MaskReader":
        """The one for a data set."""
        return cls(
            num_classes=len(classes.names) or None,
            ignore_index=classes.ignore_index,
            reduce_zero_label=classes.reduce_zero_label,
        )

    def __call__(self, path: str | os.PathLike[str]) -> Labels:
        """Labels [H, W] of a file.

        Raises:
            InputError: It cannot be read, is no index mask, or has numbers that are none of the classes.
        """
        numbers = read_index_mask(path)
        labels = numbers.astype(np.int32) - int(self.reduce_zero_label)
        left_out = (numbers == self.ignore_index) | (labels < 0)
        wrong = (labels >= (self.num_classes or MOST_CLASSES)) & ~left_out
        if wrong.any():
            raise self._out_of_range(path, numbers[wrong])
        labels[left_out] = IGNORE
        return labels.astype(np.uint8)

    def _out_of_range(self, path: str | os.PathLike[str], numbers: NDArray[np.integer]) -> InputError:
        counts = Counter(numbers.tolist())
        first = int(self.reduce_zero_label)
        last = first + (self.num_classes or MOST_CLASSES) - 1
        shown = ", ".join(f"{number} ({count} pixels)" for number, count in sorted(counts.items())[:5])
        more = f" and {len(counts) - 5} more" if len(counts) > 5 else ""
        fix = "correct the mask, name all classes in classes.yaml, or ignore_index=NUMBER for one that is no class"
        if list(counts) == [last + 1] and not first:
            fix = f"reduce_zero_label=true if 0 is no class and 1 the first, or ignore_index={last + 1} if it is none"
        return InputError(
            f"numbers outside of the classes: {shown}{more}",
            where=Path(path),
            expected=f"{first} to {last}, or {self.ignore_index} for pixels to leave out"
            + (", or 0 for those too" if first else ""),
            fix=fix,
        )


def read_index_mask(path: str | os.PathLike[str]) -> NDArray[np.integer]:
    """Numbers [H, W] of an index mask: gray of 1 to 16 bits, or the places in a palette.

    Raises:
        InputError: The file is missing, damaged, or holds colours instead of numbers.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            kind = f"a {image.format} of mode {image.mode}"
            lossy = image.format in ("JPEG", "MPO")
            raw_mode = str(image.tile[0].args) if image.tile else ""
            numbers: NDArray[np.integer] = np.asarray(image) if not lossy else np.empty(0, np.uint8)
            mode = image.mode
    except Exception as error:  # on a damaged file, Pillow's readers raise whatever their parser happens to hit
        reason = "not an image in a known format" if isinstance(error, UnidentifiedImageError) else str(error)
        if isinstance(error, FileNotFoundError):
            reason = "there is no such file"
        raise InputError(
            f"cannot read this mask: {reason}", where=path, expected=_EXPECTED, fix="replace this file"
        ) from error
    if lossy:
        raise InputError(
            "this mask is a JPEG, whose numbers are not those that were saved",
            where=path,
            expected=_EXPECTED,
            fix="save the masks as PNG from where they were drawn",
        )
    if mode not in ("1", "L", "P", "I", "I;16", "I;16B", "I;16L"):
        raise InputError(
            f"this mask is {kind}: it holds colours, not numbers of classes",
            where=path,
            expected=_EXPECTED,
            fix="save it as an index mask: to each colour the number of its class, mode L or P",
        )
    if mode == "L" and raw_mode in _SPREAD:
        return numbers // _SPREAD[raw_mode]
    return numbers.astype(np.uint8) if mode == "1" else numbers


def check_pairs(
    images: Sequence[Path],
    masks: Sequence[Path | None],
    reader: MaskReader,
    *,
    on_error: Literal["stop", "skip"] = "stop",
) -> tuple[list[int], int]:
    """Reads every mask and the header of every image, in threads; a progress bar is shown for long lists.

    Args:
        images: Image files.
        masks: Their masks; None where there is none.
        reader: Reads a mask file.
        on_error: Stop with one error that names up to ten files, or skip those pairs and print how many and why.

    Returns:
        Places of the pairs to use, and the highest label in them (-1 if none has any).

    Raises:
        InputError: Some are wrong and `on_error` is "stop", or all are.
    """
    places = list(range(len(images)))
    chunks = [places[start : start + _CHUNK] for start in range(0, len(places), _CHUNK)]
    with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
        console = Console(stderr=True)
        quiet = len(places) < _SHOW_PROGRESS_FROM or not console.is_terminal
        results = track(
            pool.map(lambda chunk: [_check(images[i], masks[i], reader) for i in chunk], chunks),
            "checking masks",
            len(chunks),
            console=console,
            transient=True,
            disable=quiet,
        )
        checked = [result for chunk in results for result in chunk]
    problems = [result for result in checked if isinstance(result, InputError)]
    kept = [place for place, result in zip(places, checked, strict=True) if isinstance(result, int)]
    if problems and (on_error == "stop" or not kept):
        raise _all_problems(problems, len(images))
    if problems:
        say(f"{len(problems)} of {len(images)} images are skipped:")
        for line in _listed(problems):
            say(f"  {line}")
    return kept, max((result for result in checked if isinstance(result, int)), default=-1)


def read_pair(image: Path, mask: Path | None, reader: MaskReader) -> Labels:
    """The labels of an image whose header was read.

    Raises:
        InputError: There is no mask, one of the files cannot be used, or they are of different sizes.
    """
    if mask is None:
        raise InputError("this image has no mask", where=image, expected="a mask of the same name")
    verify_image(image)
    labels = reader(mask)
    size, mask_size = upright_size(image), (labels.shape[1], labels.shape[0])
    if size != mask_size:
        turned = mask_size == size[::-1]
        raise InputError(
            f"a mask of {mask_size[0]}x{mask_size[1]} px for an image of {size[0]}x{size[1]} px"
            + (" (turned upright, as its EXIF block asks)" if turned else ""),
            where=mask,
        )
    return labels


def _check(image: Path, mask: Path | None, reader: MaskReader) -> int | InputError:
    """Highest label of the mask (-1 without any), or what is wrong."""
    try:
        labels = read_pair(image, mask, reader)
    except InputError as error:
        return error
    return int(np.where(labels == IGNORE, -1, labels.astype(np.int16)).max(initial=-1))


def _listed(problems: Sequence[InputError]) -> list[str]:
    lines = [f"{problem.where}: {problem.what}" for problem in problems[:_MOST_LISTED]]
    if len(problems) > _MOST_LISTED:
        lines.append(f"... and {len(problems) - _MOST_LISTED} more")
    return lines


def _all_problems(problems: Sequence[InputError], total: int) -> InputError:
    """One error for all files; what they have in common is expected and advised."""
    expected = list(dict.fromkeys(problem.expected for problem in problems if problem.expected))
    fixes = list(dict.fromkeys(problem.fix for problem in problems if problem.fix))
    advice = fixes[0] if len(fixes) == 1 else "correct or remove these files"
    return InputError(
        f"{len(problems)} of {total} images and masks cannot be used",
        where="".join(f"\n    {line}" for line in _listed(problems)),
        expected="; ".join(expected) or "a mask of the size of its image",
        fix=f"{advice}; or leave them out: on_error=skip",
    )
