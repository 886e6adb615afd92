"""What is wrong in a file of annotations or with its images, thing by thing, and what becomes of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastitpn.errors import InputError

OnError = Literal["stop", "skip"]

_MOST_LISTED = 20
_EXPECTED = "COCO's format: boxes [left, top, width, height] inside of images that exist, of known categories"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: The same words for all of its kind, to count by.
        what: What it is.
        file: The file that has it: of annotations, or an image.
        image_id: Of the image, if it is known.
        annotation_id: Of the annotation, if it is one and has an id.
        segment_id: Of the segment, in panoptic annotations.
        leaves_out: What is not used because of it; "nothing" if a box was cut off at the edge of its image.
    """

    kind: str
    what: str
    file: Path
    image_id: int | None = None
    annotation_id: int | None = None
    segment_id: int | None = None
    leaves_out: Literal["image", "annotation", "nothing"] = "annotation"

    def __str__(self) -> str:
        ids = (("annotation", self.annotation_id), ("segment", self.segment_id), ("image", self.image_id))
        named = ", ".join(f"{name} {number}" for name, number in ids if number is not None)
        return f"{self.file}: {named}{': ' * bool(named)}{self.what}"


def count_kinds(problems: Sequence[Problem]) -> str:
    """For example "3 x box of no size, 1 x unknown category", the most frequent first."""
    return ", ".join(f"{count} x {kind}" for kind, count in Counter(p.kind for p in problems).most_common())


def stop_or_say(problems: Sequence[Problem], on_error: OnError, expected: str = _EXPECTED) -> None:
    """Stops at problems with one error that lists the first of them, or prints how many are left out and which.

    Args:
        problems: All there are.
        on_error: What to do.
        expected: What the error says was.

    Raises:
        InputError: There are any, and `on_error` is "stop".
    """
    if not problems:
        return
    lines = [str(problem) for problem in problems[:_MOST_LISTED]]
    if len(problems) > _MOST_LISTED:
        lines.append(f"... and {len(problems) - _MOST_LISTED} more")
    if on_error == "stop":
        raise InputError(
            f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'} in the annotations and images: "
            f"{count_kinds(problems)}",
            where="".join(f"\n    {line}" for line in lines),
            expected=expected,
            fix="correct these; or leave them out: on_error=skip",
        )
    left_out = {
        (p.leaves_out, p.file, p.image_id, p.leaves_out == "image" or number) for number, p in enumerate(problems)
    }
    counts = Counter(kind for kind, *_ in left_out)
    parts = [f"{counts[kind]} {kind}s" for kind in ("image", "annotation") if counts[kind]]
    done = [f"{' and '.join(parts)} are left out"] if parts else []
    if counts["nothing"]:
        done.append(f"{counts['nothing']} boxes are cut off at the edges of their images")
    print(f"{'; '.join(done)} ({count_kinds(problems)}):", flush=True)
    for line in lines:
        print(f"  {line}", flush=True)
