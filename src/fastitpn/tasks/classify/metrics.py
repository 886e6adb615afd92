"""What is measured of a classifier."""

from fastitpn.training.metric import LOSS, PERCENT, Metric

TOP1 = Metric(name="top1", title="Top-1 accuracy", unit=PERCENT, short="top-1")
TOP5 = Metric(name="top5", title="Top-5 accuracy", unit=PERCENT, short="top-5")
ECE = Metric(name="ece", title="Calibration error", unit=PERCENT, higher_is_better=False, short="ECE")
"""Expected calibration error, of evaluations alone."""
METRICS = (TOP1, TOP5, LOSS)
"""Of one class for each image."""

MEAN_AP = Metric(name="map", title="Mean AP", unit=PERCENT, short="mAP")
F1 = Metric(name="f1", title="Mean F1", unit=PERCENT, short="F1")
MULTILABEL = (MEAN_AP, F1, LOSS)
"""Of any number of labels for each image: means over the classes."""
