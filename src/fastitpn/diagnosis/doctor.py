"""`fastitpn doctor`: what is wrong with a data set, before a training finds out."""

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from fastitpn.console import say
from fastitpn.data.images.pixel_range import find_range
from fastitpn.data.images.reading import AUTO, range_line, settle_range
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.duplicates import find_duplicates
from fastitpn.diagnosis.findings import DataSet, Finding, first_of_each_kind
from fastitpn.diagnosis.page import write_page
from fastitpn.diagnosis.pixels import UNREADABLE, Look, look_at
from fastitpn.errors import FastITPNError
from fastitpn.files import write_text
from fastitpn.reporting.sections import Table
from fastitpn.reporting.tables import print_table
from fastitpn.reporting.values import printable
from fastitpn.runs.output import make_folder

FINDINGS, REPORT = "findings.jsonl", "report.html"
_NAMED = 10


class ProblemsFound(FastITPNError):
    """The data set was checked, and something is wrong with it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What `fastitpn doctor` extent.

    Attributes:
        form: How the data is labelled: "images", "class folders", "images with masks", "COCO annotations", "COCO
            masks", "COCO panoptic", "Pascal VOC" or "YOLO".
        images: Images by part; those that cannot be read among them.
        counts: Images, pixels or annotations by class and part.
        problems: What should be fixed before a training.
        notes: What deserves a look.
    """

    form: str
    images: Mapping[str, int]
    counts: Mapping[str, Mapping[str, int]]
    problems: tuple[Finding, ...]
    notes: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """No problem was extent."""
        return not self.problems


def check_dataset(config: DoctorConfig, data: DataSet) -> Diagnosis:
    """Look at the images of a data set, say what is wrong, and write `findings.jsonl` and `report.html` to `out`.

    Args:
        config: Keys of the command.
        data: What the data set holds.

    Raises:
        InputError: The folder `out` cannot be made.
    """
    started = time.perf_counter()
    deep = _settle_range(config, data)
    looks, odd = look_at(data.entries)
    named = {file for finding in data.findings for file in finding.files}
    odd = [finding for finding in odd if finding.kind != UNREADABLE or named.isdisjoint(finding.files)]
    findings = [*data.findings, *odd, *find_duplicates(looks, config.similar)]
    if config.strict:
        findings = [dataclasses.replace(finding, problem=True) for finding in findings]
    findings.sort(key=lambda finding: not finding.problem)
    diagnosis = Diagnosis(
        form=data.form,
        images=Counter(entry.part for entry in data.entries),
        counts=data.counts,
        problems=tuple(finding for finding in findings if finding.problem),
        notes=tuple(finding for finding in findings if not finding.problem),
    )
    make_folder(config.out)
    lines = [json.dumps(finding.to_json(), ensure_ascii=False) + "\n" for finding in findings]
    write_text(config.out / FINDINGS, "".join(lines))
    write_page(config.out / REPORT, config, data, looks, findings, time.perf_counter() - started, deep)
    _print(config, data, looks, findings, deep)
    return diagnosis


def stop_at_problems(diagnosis: Diagnosis) -> None:
    """End a command with exit code 1 if there are problems.

    Raises:
        ProblemsFound: There are.
    """
    if diagnosis.clean:
        return
    kinds = Counter(finding.kind for finding in diagnosis.problems).most_common()
    raise ProblemsFound(
        f"{len(diagnosis.problems)} problem{'s' * (len(diagnosis.problems) != 1)}: "
        + ", ".join(f"{count} x {kind}" for kind, count in kinds)
    )


def _settle_range(config: DoctorConfig, data: DataSet) -> str | None:
    """Find the range that a training would find; in words, if there are images with more than 8 bits."""
    extent = find_range([entry.path for entry in data.entries])
    text = extent.text if extent is not None and config.image.range == AUTO else config.image.range
    settle_range(dataclasses.replace(config.image, range=text), ())
    return None if extent is None else range_line(extent, text)


def _print(
    config: DoctorConfig, data: DataSet, looks: Sequence[Look], findings: Sequence[Finding], deep: str | None
) -> None:
    readable = Counter(look.entry.part for look in looks)
    rows = [
        (part or "all", sum(entry.part == part for entry in data.entries), readable[part], _classes(data, part))
        for part in data.parts
    ]
    print_table(Table(f"Data: {data.form}", ("part", "images", "readable", "classes"), rows))
    if looks:
        low, high = np.median([look.darkest_and_brightest for look in looks], axis=0)
        say(f"pixel values, of 0 to 255: {low:.0f} to {high:.0f} in the median image")
    if deep is not None:
        say(deep)
    for problem, title in ((True, "Problems"), (False, "Notes")):
        chosen = [finding for finding in findings if finding.problem == problem]
        if chosen:
            counts = Counter(finding.kind for finding in chosen).most_common()
            print_table(Table(title, ("kind", "number"), counts))
            for finding in first_of_each_kind(chosen, _NAMED):
                say(printable(f"  {finding}"))
            if len(chosen) > _NAMED:
                say(f"  and {len(chosen) - _NAMED} more")
    if not findings:
        say("nothing is wrong")
    say(f"all findings: {config.out / FINDINGS}, with pictures: {config.out / REPORT}")


def _classes(data: DataSet, part: str) -> int | None:
    return sum(by_part.get(part, 0) > 0 for by_part in data.counts.values()) if data.counts else None
