"""What is measured of a classifier."""

from fastitpn.training.metric import LOSS, PERCENT, Metric

TOP1 = Metric(name="top1", title="Top-1 accuracy", unit=PERCENT, short="top-1")
TOP5 = Metric(name="top5", title="Top-5 accuracy", unit=PERCENT, short="top-5")
METRICS = (TOP1, TOP5, LOSS)
