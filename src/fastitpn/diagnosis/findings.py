"""What is found in a data set: its images, what they are labelled with, and what is wrong with them."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from fastitpn.data.detection.problems import Problem


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong or odd.

    Attributes:
        kind: Words that all findings of a kind share, to count by.
        what: Words about this one, for the page.
        files: That it is about; of images that are the same, all of them.
        part: Part of the data that it is in: "train", "val", "train and val", or "".
        problem: Whether it should be fixed before a training; a note only deserves a look.
        similarity: Of images that are nearly the same: the smallest cosine that joins them to a group.
        image_id: Id of the image in a file of annotations, if it has one.
        annotation_id: Id of the annotation, if it is about one.
        segment_id: Id of the segment of a panoptic annotation, if it is about one.
    """

    kind: str
    what: str
    files: tuple[Path, ...] = ()
    part: str = ""
    problem: bool = True
    similarity: float | None = None
    image_id: int | str | None = None
    annotation_id: int | str | None = None
    segment_id: int | None = None

    @classmethod
    def of(cls, problem: Problem, part: str) -> "Finding":
        """From what was found in annotations."""
        return cls(
            kind=problem.kind,
            what=problem.what,
            files=(problem.file,),
            part=part,
            image_id=problem.image_id,
            annotation_id=problem.annotation_id,
            segment_id=problem.segment_id,
        )

    def __str__(self) -> str:
        ids = (("annotation", self.annotation_id), ("segment", self.segment_id), ("image", self.image_id))
        place = [*map(str, self.files[:1]), *(f"{name} {number}" for name, number in ids if number is not None)]
        return ": ".join([*([", ".join(place)] if place else []), self.kind, self.what])

    def to_json(self) -> dict[str, Any]:
        """The finding in plain types."""
        return {**dataclasses.asdict(self), "files": [str(file) for file in self.files]}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entry:
    """An image of a data set.

    Attributes:
        path: File of the image.
        part: "train", "val", or "" where there are no parts.
        label: Class of the image, where it has one.
    """

    path: Path
    part: str
    label: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataSet:
    """A data set, as far as it can be told without looking at its images.

    Attributes:
        form: How it is labelled: the title of its format.
        entries: The images.
        unit: What `counts` counts.
        counts: Class to part to number; empty without labels.
        findings: What is wrong with its labels.
        facts: What else there is to say, by part.
    """

    form: str
    entries: Sequence[Entry]
    unit: Literal["images", "pixels", "annotations"] = "images"
    counts: Mapping[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    findings: Sequence[Finding] = ()
    facts: Mapping[str, Mapping[str, object]] = dataclasses.field(default_factory=dict)

    @property
    def parts(self) -> list[str]:
        """Names of its parts, in their order."""
        return list(dict.fromkeys(entry.part for entry in self.entries))


def first_of_each_kind(findings: Sequence[Finding], count: int) -> list[Finding]:
    """At most `count` of them, in their order, so that many of a kind do not hide the others."""
    counts: Counter[str] = Counter()
    places = []
    for finding in findings:
        places.append(counts[finding.kind])
        counts[finding.kind] += 1
    first = sorted(range(len(findings)), key=places.__getitem__)[:count]
    return [findings[index] for index in sorted(first)]


def check_classes(counts: Mapping[str, Mapping[str, int]], parts: Sequence[str], unit: str) -> list[Finding]:
    """Classes that a part lacks or that are rare.

    Args:
        counts: Class to part to number.
        parts: Names of the parts.
        unit: What is counted.
    """
    findings = []
    for name, by_part in counts.items():
        for part in parts:
            if by_part.get(part, 0):
                continue
            if not any(by_part.values()):
                findings.append(Finding(kind="class without images", what=f"{name!r} has no {unit}"))
                break
            only = next(other for other in parts if by_part.get(other, 0))
            findings.append(
                Finding(
                    kind="class missing in a part",
                    what=f"{name!r} has {by_part[only]:,} {unit} in {only}, none in {part}",
                    part=part,
                    problem=part == "train",  # what is never learnt cannot be right; what is never tested can
                )
            )
    first = parts[0] if parts else ""
    numbers = {name: by_part.get(first, 0) for name, by_part in counts.items() if by_part.get(first, 0)}
    if len(numbers) > 1 and unit != "pixels":  # of which a background has most anywhere
        most, least = max(numbers, key=numbers.__getitem__), min(numbers, key=numbers.__getitem__)
        ratio = numbers[most] / numbers[least]
        if ratio >= UNBALANCED:
            what = f"{most!r} has {ratio:,.0f} times as many {unit} as {least!r}: {numbers[most]:,} and "
            findings.append(
                Finding(kind="unbalanced classes", what=f"{what}{numbers[least]:,}", part=first, problem=False)
            )
    return findings


UNBALANCED = 20
"""Ratio of the most to the least frequent class that is worth a note."""
