"""What is wrong in annotations or with their images, one by one, and what becomes of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastitpn.console import say
from fastitpn.errors import InputError

OnError = Literal["stop", "skip"]

_MOST_LISTED = 20
_EXPECTED = (
    "images that exist, can be read and have the size in the annotations; objects of known categories, whose boxes "
    "(and masks, where they are needed) are within their image"
)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is wrong.

    Attributes:
        kind: Words that all problems of a kind share, to count by.
        what: Words about this problem, for a message.
        file: The file that has it: of annotations, or an image.
        image_id: Id of the image as written, if it is known.
        annotation_id: Id of the annotation as written, if it is about one that has an id.
        segment_id: Id of the segment, in panoptic annotations.
        leaves_out: What is not used because of it; "nothing" if a box was cut off at the edge of its image, "target" if
            an object without a mask becomes a region that counts neither for nor against a detector.
    """

    kind: str
    what: str
    file: Path
    image_id: int | str | None = None
    annotation_id: int | str | None = None
    segment_id: int | None = None
    leaves_out: Literal["image", "annotation", "target", "nothing"] = "annotation"

    def __str__(self) -> str:
        ids = (("annotation", self.annotation_id), ("segment", self.segment_id), ("image", self.image_id))
        named = ", ".join(f"{name} {number}" for name, number in ids if number is not None)
        return f"{self.file}: {named}{': ' * bool(named)}{self.what}"


def count_kinds(problems: Sequence[Problem]) -> str:
    """For example "3 x box of no size, 1 x unknown category", the most frequent first."""
    return ", ".join(f"{count} x {kind}" for kind, count in Counter(p.kind for p in problems).most_common())


def stop_or_say(
    problems: Sequence[Problem],
    on_error: OnError,
    expected: str = _EXPECTED,
    left_out: tuple[int, int] | None = None,
) -> None:
    """Stops at problems with one error that lists the first of them, or prints how many are left out and which.

    Args:
        problems: Everything that is wrong.
        on_error: Stop with one error that lists it, or print how much was left out and what.
        expected: What the error says was.
        left_out: How many images and annotations are not used because of them; None counts those of the problems. An
            image takes its annotations with it.

    Raises:
        InputError: There are any, and `on_error` is "stop".
    """
    if not problems:
        return
    lines = [str(problem) for problem in problems[:_MOST_LISTED]]
    if len(problems) > _MOST_LISTED:
        lines.append(f"... and {len(problems) - _MOST_LISTED} more (fastitpn doctor lists all)")
    if on_error == "stop":
        raise InputError(
            f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'} in the annotations and images: "
            f"{count_kinds(problems)}",
            where="".join(f"\n    {line}" for line in lines),
            expected=expected,
            fix="correct these; or leave them out: on_error=skip",
        )
    say(f"{describe_left_out(problems, left_out)}:")
    for line in lines:
        say(f"  {line}")


def describe_left_out(problems: Sequence[Problem], left_out: tuple[int, int] | None = None) -> str:
    """For example "1 image and 5 annotations left out (1 x missing image file)"; arguments as in `stop_or_say`."""
    counts = count_left_out(problems) if left_out is None else left_out
    kinds = zip(counts, ("image", "annotation"), strict=True)
    parts = [f"{count} {kind}{'s' * (count != 1)}" for count, kind in kinds if count]
    done = [f"{' and '.join(parts)} left out"] if parts else []
    if ignored := sum(problem.leaves_out == "target" for problem in problems):
        done.append(f"{ignored} without a mask ignored: no targets, and at them no detection is wrong")
    cut = sum(problem.leaves_out == "nothing" for problem in problems)
    if cut:
        done.append(
            "1 box cut off at the edge of its image"
            if cut == 1
            else f"{cut} boxes cut off at the edges of their images"
        )
    return f"{'; '.join(done)} ({count_kinds(problems)})"


def count_left_out(problems: Sequence[Problem]) -> tuple[int, int]:
    """How many images and annotations are left out because of problems."""
    images = {(problem.file, problem.image_id) for problem in problems if problem.leaves_out == "image"}
    return len(images), sum(problem.leaves_out == "annotation" for problem in problems)
