"""What `doctor` finds in tables of images with any number of labels each."""

from collections import Counter
from pathlib import Path

from fastitpn.data.classification.multilabel import label_parts
from fastitpn.diagnosis.findings import DataSet, Entry, check_classes


def diagnose_labels(data: Path, val: Path | None) -> DataSet:
    """Every image with its labels.

    Args:
        data: A table, or a folder of tables of parts.
        val: Another to validate on.

    Raises:
        InputError: Something is wrong in a table.
    """
    entries: list[Entry] = []
    counts: dict[str, Counter[str]] = {}
    parts = label_parts(data)
    if val is not None:
        given = label_parts(val)
        parts = {"train": parts.get("train") or parts[""], "val": given.get("val") or next(iter(given.values()))}
    for part, table in parts.items():
        for path, names in table.labels.items():
            entries.append(Entry(path=path, part=part, label=", ".join(sorted(names)) or "no label"))
            for name in names:
                counts.setdefault(name, Counter())[part] += 1
    counts = dict(sorted(counts.items()))
    findings = check_classes(counts, list(parts), "images")
    return DataSet(form="several labels for an image", entries=entries, counts=counts, findings=findings)
