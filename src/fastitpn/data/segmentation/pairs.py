"""Images and their masks, all of them checked before a training or an evaluation."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from fastitpn.console import say
from fastitpn.data.images.decode import upright_size, verify_image
from fastitpn.data.images.mask_names import Pair
from fastitpn.data.looking import look_at_each
from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.mask_files import MaskContent, MaskError, look_at_mask, mask_size
from fastitpn.data.segmentation.masks import Labels, MaskReader
from fastitpn.errors import InputError

_MOST_LISTED = 20

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, kw_only=True)
class CheckedPairs:
    """Pairs with which nothing is wrong.

    Attributes:
        places: Which of the pairs they are.
        counts: Pixels by label of each.
    """

    places: list[int]
    counts: list[dict[int, int]]

    def part(self, places: range) -> "CheckedPairs":
        """Those with these places."""
        kept = [(place, counts) for place, counts in zip(self.places, self.counts, strict=True) if place in places]
        return CheckedPairs(places=[place for place, _ in kept], counts=[counts for _, counts in kept])

    def labels(self) -> set[int]:
        """Labels in them."""
        return {label for counts in self.counts for label in counts if label != IGNORE}


def look_at_pairs(pairs: Sequence[Pair]) -> list[MaskContent | InputError]:
    """Looks at every mask and the header of every image, in threads; a progress bar is shown where that takes long."""
    return look_at_each(lambda pair: _caught(partial(_look, *pair)), pairs, "checking masks")


def check_pairs(
    pairs: Sequence[Pair],
    contents: Sequence[MaskContent | InputError],
    reader: MaskReader,
    *,
    on_error: Literal["stop", "skip"] = "stop",
) -> CheckedPairs:
    """Checks what masks hold.

    Args:
        pairs: Images and masks.
        contents: What the masks hold, or what is wrong with them or their images.
        reader: Reads a mask file.
        on_error: Stop with one error that names up to 20 files, or skip those pairs and say how many and why.

    Raises:
        InputError: Some are wrong and `on_error` is "stop", or all are.
    """
    checked = [
        content if isinstance(content, InputError) else _caught(partial(reader.count, content, mask or image))
        for (image, mask), content in zip(pairs, contents, strict=True)
    ]
    problems = [result for result in checked if isinstance(result, InputError)]
    places = [place for place, result in enumerate(checked) if not isinstance(result, InputError)]
    if problems and (on_error == "stop" or not places):
        raise _all_problems(problems, len(pairs))
    if problems:
        say(f"{len(problems)} of {len(pairs)} images are skipped:")
        for line in _listed(problems):
            say(f"  {line}")
    return CheckedPairs(places=places, counts=[result for result in checked if not isinstance(result, InputError)])


def read_pair(image: Path, mask: Path | None, reader: MaskReader) -> Labels:
    """The labels of an image whose header was read.

    Raises:
        InputError: There is no mask, one of the files cannot be used, or they are of different sizes.
    """
    verify_image(image)
    return reader(_there(image, mask))


def _look(image: Path, mask: Path | None) -> MaskContent:
    verify_image(image)
    return look_at_mask(_there(image, mask))


def _there(image: Path, mask: Path | None) -> Path:
    """The mask, which is there and has the size of its image, as their headers say."""
    if mask is None:
        kind = "image without a mask"
        raise MaskError(kind, "this image has no mask", where=image, expected="a mask of the same name")
    width, height = mask_size(mask)
    size = upright_size(image)
    if size != (width, height):
        turned = (height, width) == size
        raise MaskError(
            "mask of another size",
            f"a mask of {width}x{height} px for an image of {size[0]}x{size[1]} px"
            + (" (turned upright, as its EXIF block asks)" if turned else ""),
            where=mask,
        )
    return mask


def _caught(run: Callable[[], ResultT]) -> ResultT | InputError:
    try:
        return run()
    except InputError as error:
        return error


def _listed(problems: Sequence[InputError]) -> list[str]:
    kinds = Counter(getattr(problem, "kind", "image that cannot be read") for problem in problems)
    lines = [", ".join(f"{count} x {kind}" for kind, count in kinds.most_common())]
    lines += [f"{problem.where}: {problem.what}" for problem in problems[:_MOST_LISTED]]
    if len(problems) > _MOST_LISTED:
        lines.append(f"... and {len(problems) - _MOST_LISTED} more (fastitpn doctor lists all)")
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
