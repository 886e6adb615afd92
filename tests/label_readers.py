"""Every format of labels, right, with what reads it as the commands do: to be damaged."""

from collections.abc import Callable, Sequence
from pathlib import Path

from fuzzing import Labels
from labels_examples import BOXES, CLASS_FILES, LABEL_SETS, LISTS, MASKS, TABLES

from fastitpn.data.classification.labelled import labelled_split
from fastitpn.data.classification.multilabel import multilabel_split
from fastitpn.data.detection.annotations import DetectionImages
from fastitpn.data.detection.images import detection_images, detection_split
from fastitpn.data.detection.masks import unpack_masks
from fastitpn.data.images.folders import unlabelled
from fastitpn.data.segmentation.images import MaskFolders, segmentation_images, segmentation_split
from fastitpn.data.segmentation.masked_images import MaskedImages
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.tasks.diagnosing import open_dataset

Readers = Sequence[Callable[[Path], object]]


def doctor(task: str, name: str = "") -> Readers:
    """As `fastitpn doctor` does, told what the data is for and not."""

    def read(folder: Path, task: str | None) -> None:
        open_dataset(DoctorConfig(data=folder / name, task=task))

    return [lambda folder: read(folder, None), lambda folder: read(folder, task)]


def look_at_boxes(*parts: DetectionImages) -> None:
    for images in parts:
        for index in range(len(images)):
            unpack_masks(images.annotations(index).masks or [], *images.size(index))


def look_at_masks(*parts: MaskedImages) -> None:
    for images in parts:
        for index in range(len(images)):
            images.labels(index)


DETECTION: Readers = [
    lambda folder: look_at_boxes(*detection_split(folder)),
    lambda folder: look_at_boxes(*detection_split(folder, on_error="skip")),
    lambda folder: look_at_boxes(detection_images(folder, on_error="skip", with_masks=False)),
    *doctor("detect"),
]
SEGMENTATION: Readers = [
    lambda folder: look_at_masks(*segmentation_split(MaskFolders(data=folder))),
    lambda folder: look_at_masks(*segmentation_split(MaskFolders(data=folder, on_error="skip"))),
    lambda folder: look_at_masks(segmentation_images(MaskFolders(data=folder, on_error="skip"))),
    *doctor("segment"),
]
CLASSES: Readers = [lambda folder: labelled_split(folder / "labels.csv"), *doctor("classify", "labels.csv")]
SETS: Readers = [lambda folder: multilabel_split(folder / "labels.csv"), *doctor("classify", "labels.csv")]
UNLABELLED: Readers = [lambda folder: unlabelled(folder / "train.txt"), *doctor("pretrain", "train.txt")]

FORMATS = {
    **{name: Labels(files=files, readers=DETECTION) for name, files in BOXES.items()},
    **{
        name: Labels(files=files, readers=SEGMENTATION, damaged=(Path(name).suffix,))
        for name, files in CLASS_FILES.items()
    },
    **{
        name: Labels(files=files, readers=SEGMENTATION, damaged=(".png", ".json", ".txt"))
        for name, files in MASKS.items()
    },
    **{name: Labels(files=files, readers=CLASSES) for name, files in TABLES.items()},
    **{name: Labels(files=files, readers=SETS) for name, files in LABEL_SETS.items()},
    **{name: Labels(files=files, readers=UNLABELLED) for name, files in LISTS.items()},
}
