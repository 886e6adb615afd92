"""Tables of a detector's figures, in percent as is usual for COCO's."""

from collections.abc import Mapping

from fastitpn.reporting.sections import Table
from fastitpn.tasks.detect.metrics import FIGURES, KINDS

_OF_A_CLASS = ("ap", "ap50")


def ap_table(metrics: Mapping[str, float], title: str = "Average precision") -> Table:
    """One row for boxes and, if there are any, one for masks.

    Args:
        metrics: `box_ap`, `mask_ap` and so on, in percent; those that are absent are left open.
        title: Heading of the table.
    """
    rows = [
        (name, *(metrics.get(f"{kind}_{figure}") for figure in FIGURES))
        for kind, name in KINDS.items()
        if f"{kind}_ap" in metrics
    ]
    caption = "Percent. AP is the mean over overlaps from 0.5 to 0.95; small is below 32 x 32 px, large from 96 x 96."
    return Table(title, ("", *FIGURES.values()), rows, caption)


def class_table(
    figures: Mapping[str, Mapping[str, float]], counts: Mapping[str, int], title: str = "Average precision by class"
) -> Table:
    """One row per class, the worst first.

    Args:
        figures: Class -> `box_ap` and so on, in percent; empty for a class that is nowhere.
        counts: Class -> number of objects.
        title: Heading of the table.
    """
    kinds = [kind for kind in KINDS if any(f"{kind}_ap" in row for row in figures.values())]
    names = [f"{kind}_{figure}" for kind in kinds for figure in _OF_A_CLASS]
    order = sorted(counts, key=lambda name: (name not in figures, figures.get(name, {}).get("box_ap", 0.0)))
    rows = [(name, counts[name], *(figures.get(name, {}).get(figure) for figure in names)) for name in order]
    heads = [f"{kind} {FIGURES[figure]}" for kind in kinds for figure in _OF_A_CLASS]
    return Table(title, ("class", "objects", *heads), rows, "Percent.")
