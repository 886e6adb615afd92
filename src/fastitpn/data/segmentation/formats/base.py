"""What a format of masks is: how data in it is recognised, split, evaluated on and checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from fastitpn.data.detection.problems import Problem
from fastitpn.data.fold import HeldOut
from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.data.segmentation.masked_images import MaskedImages, MaskFolders
from fastitpn.data.segmentation.masks import Labels


@dataclass(frozen=True, kw_only=True)
class UncheckedPart:
    """A part of a data set whose labels may be wrong, for `doctor`.

    Attributes:
        images: Files of the images.
        labels: From the place of an image to its labels; raises `InputError` where they cannot be used.
        masks: Files to name, one for each image; None where there is none.
        problems: What is wrong in the annotations.
        facts: What else there is to say.
        unusable: Images that are there, and are among the problems.
    """

    images: Sequence[Path]
    labels: Callable[[int], Labels]
    masks: Sequence[Path | None]
    problems: Sequence[Problem] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
    unusable: Sequence[Path] = ()


class Split(Protocol):
    """Training and validation images, every mask of which was checked."""

    def __call__(
        self, folders: MaskFolders, classes: SegmentationClasses, val: Path | None, *, val_ratio: HeldOut, seed: int
    ) -> tuple[MaskedImages, MaskedImages]:
        """Arguments as of `segmentation_split`; `classes` are those of a file, without names if there is none."""


@dataclass(frozen=True, kw_only=True)
class MaskFormat:
    """A way to write down masks. A new one is a file with such an object, and a line in the registry.

    Attributes:
        title: What people call the format.
        layout: Files and folders, in one sentence.
        recognise: Whether data has this format, to train or to evaluate on: the part is "train" or "val".
        claims: Whether data is above all of this format, although it might also be of another task.
        split: To train and to validate on.
        images: To evaluate on: the `val` part, or all; of the classes, which may have no names.
        parts: Everything by part, unchecked, and the classes; with another folder for the part val, or None.
        panoptic: Whether it has segments.
    """

    title: str
    layout: str
    recognise: Callable[[MaskFolders, str], bool]
    claims: Callable[[MaskFolders], bool]
    split: Split
    images: Callable[[MaskFolders, SegmentationClasses], MaskedImages]
    parts: Callable[
        [MaskFolders, SegmentationClasses, Path | None], tuple[dict[str, UncheckedPart], SegmentationClasses]
    ]
    panoptic: bool = False
