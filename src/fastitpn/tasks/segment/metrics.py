"""What is measured of a segmentation network."""

from fastitpn.training.metric import PERCENT, Metric

MIOU = Metric(name="miou", title="Mean IoU", unit=PERCENT, short="mIoU")
MEAN_ACCURACY = Metric(name="mean_accuracy", title="Mean accuracy", unit=PERCENT)
PIXEL_ACCURACY = Metric(name="pixel_accuracy", title="Pixel accuracy", unit=PERCENT)
SEMANTIC = (MIOU, MEAN_ACCURACY, PIXEL_ACCURACY)
"""Metrics of the classes of pixels."""

PQ = Metric(name="pq", title="Panoptic quality (PQ)", unit=PERCENT, short="PQ")
SQ = Metric(name="sq", title="Quality of segmentation (SQ)", unit=PERCENT, short="SQ")
RQ = Metric(name="rq", title="Quality of recognition (RQ)", unit=PERCENT, short="RQ")
_OF_ALL = (PQ, SQ, RQ)
PANOPTIC = (
    *_OF_ALL,
    *(
        Metric(name=f"{metric.name}_{group}", title=f"{metric.short} {group}", unit=PERCENT)
        for group in ("things", "stuff")
        for metric in _OF_ALL
    ),
)
"""Metrics of segments: over all classes, over those of things, and over those of stuff."""
