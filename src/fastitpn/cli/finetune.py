"""`fastitpn finetune TASK`: a verb for each task."""

from fastitpn.cli.verb import Verb
from fastitpn.config import ClassifyConfig, DetectConfig, SegmentConfig


def run_classifier(config: ClassifyConfig) -> object:
    """Calls `run_classify`."""
    from fastitpn.tasks.classify.finetune import run_classify

    return run_classify(config)


CLASSIFY = Verb(
    config=ClassifyConfig,
    sentence="Train a classifier on a folder with a sub-folder of images for each class.",
    example="fastitpn finetune classify data=flowers weights=runs/pretrain",
    run=run_classifier,
)


def run_segmenter(config: SegmentConfig) -> object:
    """Calls `run_segment`."""
    from fastitpn.tasks.segment.finetune import run_segment

    return run_segment(config)


SEGMENT = Verb(
    config=SegmentConfig,
    sentence="Train a network that gives each pixel a class, on images with masks.",
    example="fastitpn finetune segment data=streets weights=runs/pretrain",
    run=run_segmenter,
)


def run_detector(config: DetectConfig) -> object:
    """Calls `run_detect`."""
    from fastitpn.tasks.detect.finetune import run_detect

    return run_detect(config)


DETECT = Verb(
    config=DetectConfig,
    sentence="Train a network that finds things, with boxes and masks, on images with COCO annotations.",
    example="fastitpn finetune detect data=animals detector=mask_rcnn weights=runs/pretrain",
    run=run_detector,
)
