"""What is measured of a detector: COCO's average precision and recall of boxes and of masks."""

from fastitpn.training.metric import PERCENT, Metric

KINDS = {"box": "boxes", "mask": "masks"}
FIGURES = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "AP small",
    "ap_medium": "AP medium",
    "ap_large": "AP large",
    "ar": "AR",
}


def _metrics(kind: str) -> tuple[Metric, ...]:
    return tuple(
        Metric(name=f"{kind}_{name}", title=f"{kind.capitalize()} {title}", unit=PERCENT, short=f"{kind} {title}")
        for name, title in FIGURES.items()
    )


_OF_BOXES, _OF_MASKS = _metrics("box"), _metrics("mask")
MAIN = (_OF_BOXES[0], _OF_MASKS[0])
"""AP of boxes and of masks: what reports show first."""


def metrics_of(*, masks: bool) -> tuple[Metric, ...]:
    """The metrics of a detector with or without masks; the first one chooses the best checkpoint."""
    return (*_OF_MASKS, *_OF_BOXES) if masks else _OF_BOXES
