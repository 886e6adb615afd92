"""The page of `fastitpn doctor`: summary, findings with thumbnails, classes, sizes and examples."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastitpn.config import to_yaml
from fastitpn.data.images.decode import read_image
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet, Finding
from fastitpn.diagnosis.pixels import Look, sizes_table, values_table
from fastitpn.errors import InputError
from fastitpn.reporting.charts import bars
from fastitpn.reporting.environment import describe_environment
from fastitpn.reporting.pictures import Item
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Code, Facts, Gallery, Picture, Section, Table
from fastitpn.reporting.values import Value

_LISTED = 500
"""Rows of the table of findings; all of them are in the file."""
_GROUPS, _IN_GROUP, _PER_KIND, _EXAMPLES, _BARS = 24, 3, 12, 24, 30
_THUMBNAIL_PX = 320


def write_page(
    path: Path,
    config: DoctorConfig,
    data: DataSet,
    looks: Sequence[Look],
    findings: Sequence[Finding],
    seconds: float,
    deep: str | None = None,
) -> None:
    """Write the page.

    Args:
        path: HTML file to write.
        config: Configuration of the command, which the page repeats.
        data: The data set.
        looks: Images that can be read.
        findings: All there are, problems first.
        seconds: How long the check took.
        deep: What there is to say of images with more than 8 bits.
    """
    problems = sum(finding.problem for finding in findings)
    parts = Counter(entry.part for entry in data.entries)
    by_part = ", ".join(f"{number:,} {part}" for part, number in parts.items() if part)
    summary: list[tuple[str, Value, str]] = [
        ("problems", problems, "to fix before a training" if problems else "nothing is wrong"),
        ("notes", len(findings) - problems, "worth a look"),
        ("images", len(data.entries), by_part or data.form),
    ]
    if data.counts:
        summary.append(("classes", len(data.counts), data.form))
    write_report(
        path,
        title="Data set",
        subtitle=str(config.data),
        summary=summary,
        sections=[
            *_finding_sections(findings),
            *_class_sections(data),
            Table("Sizes", ("", "smallest", "5 %", "median", "95 %", "largest"), sizes_table(looks)),
            Table(
                "Pixel values, of 0 to 255",
                ("", "smallest", "5 %", "median", "95 %", "largest"),
                values_table(looks),
                caption=deep or "",
            ),
            *(Facts(f"About {part or 'the data'}", facts) for part, facts in data.facts.items()),
            *_examples(looks),
            Code("Configuration", to_yaml(config)),
            Facts("Environment", describe_environment(wall_time_s=seconds)),
        ],
    )


def _finding_sections(findings: Sequence[Finding]) -> list[Section]:
    if not findings:
        return []
    counts = Counter((finding.kind, finding.problem) for finding in findings)
    sections: list[Section] = [
        Table(
            "Findings",
            ("kind", "number", "is a"),
            [(kind, number, "problem" if problem else "note") for (kind, problem), number in counts.items()],
        )
    ]
    several = [finding for finding in findings if len(finding.files) > 1 and "image" in finding.kind]
    groups = [finding for finding in several if "same image" in finding.kind]
    if groups:
        items = [
            item._replace(caption=f"group {number}: {item.caption}")
            for number, finding in enumerate(groups[:_GROUPS], 1)
            for item in _thumbnails(finding, _IN_GROUP)
        ]
        caption = f"The first {_GROUPS} of {len(groups)} groups." if len(groups) > _GROUPS else ""
        sections.append(Gallery("Duplicates", items, caption))
    single: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding not in groups and finding.files:
            single.setdefault(finding.kind, []).append(finding)
    items = [item for of_kind in single.values() for finding in of_kind[:_PER_KIND] for item in _thumbnails(finding, 1)]
    if items:
        sections.append(Gallery("Odd images", items, f"Up to {_PER_KIND} of each kind."))
    rows = [
        (
            finding.kind,
            finding.part,
            finding.image_id,
            finding.annotation_id,
            finding.segment_id,
            finding.what,
            _names(finding),
        )
        for finding in findings[:_LISTED]
    ]
    caption = f"The first {_LISTED} of {len(findings)}; all are in findings.jsonl." if len(findings) > _LISTED else ""
    columns = ("kind", "part", "image id", "annotation id", "segment id", "what", "files")
    empty = [place for place in range(len(columns)) if all(row[place] in (None, "") for row in rows)]
    kept = [place for place in range(len(columns)) if place not in empty]
    table = [[row[place] for place in kept] for row in rows]
    sections.append(Table("All findings", [columns[place] for place in kept], table, caption=caption))
    return sections


def _names(finding: Finding) -> str:
    shown = ", ".join(str(file) for file in finding.files[:_IN_GROUP])
    return f"{shown} and {len(finding.files) - _IN_GROUP} more" if len(finding.files) > _IN_GROUP else shown


def _thumbnails(finding: Finding, most: int) -> list[Item]:
    """Pictures of what a finding is about, as far as they can be read."""
    items = []
    for file in finding.files[:most]:
        try:
            image = read_image(file, min_px=_THUMBNAIL_PX)
        except InputError:
            continue
        image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
        similarity = "" if finding.similarity is None else f", similarity {finding.similarity:.3f}"
        caption = f"{'/'.join(file.parts[-3:])}: {finding.kind}{similarity}"
        items.append(Item(image, caption, False if finding.problem else None))
    return items


def _class_sections(data: DataSet) -> list[Section]:
    if not data.counts:
        return []
    totals = {part: sum(of_class.get(part, 0) for of_class in data.counts.values()) for part in data.parts}
    columns = ["class", *(f"{data.unit}{' ' * bool(part)}{part}" for part in totals), "share"]
    first = next(iter(totals))
    shares = {name: of_class.get(first, 0) / max(1, totals[first]) for name, of_class in data.counts.items()}
    rows = [[name, *(of_class.get(part, 0) for part in totals), shares[name]] for name, of_class in data.counts.items()]
    caption = f"The share is that of {first or 'all'} {data.unit}."
    sections: list[Section] = [Table("Classes", columns, rows, caption=caption, bars=("share",))]
    if len(data.counts) <= _BARS:
        ordered = {name: 100 * share for name, share in sorted(shares.items(), key=lambda item: -item[1])}
        drawing = bars(ordered, label=f"percent of the {data.unit} {f'in {first}' if first else ''}".rstrip())
        sections.insert(0, Picture("Balance of the classes", drawing))
    return sections


def _examples(looks: Sequence[Look]) -> list[Section]:
    """A picture of each class, or of images spread over the data."""
    by_label: dict[str | None, Look] = {}
    for look in looks:
        by_label.setdefault(look.entry.label, look)
    chosen = list(by_label.values())
    if len(chosen) < 2:
        chosen = [looks[int(place)] for place in np.linspace(0, len(looks) - 1, min(_EXAMPLES, len(looks)))]
    items = []
    for look in chosen[:_EXAMPLES]:
        image = read_image(look.entry.path, min_px=_THUMBNAIL_PX)
        image.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
        items.append(Item(image, look.entry.label or look.entry.path.name))
    return [Gallery("Examples", items)] if items else []
