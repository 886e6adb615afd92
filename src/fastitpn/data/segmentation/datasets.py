"""Data sets of images with masks, for training and for evaluation."""

import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from fastitpn.data.datasets import DecodedImages, Sample, SeededDataset
from fastitpn.data.segmentation.formats.panoptic import PanopticLabels
from fastitpn.data.segmentation.images import MaskedImages
from fastitpn.data.segmentation.masks import Labels, MaskReader
from fastitpn.data.segmentation.panoptic_codes import Codes
from fastitpn.data.segmentation.transforms import SegmentationEval, SegmentationTrain


class SegmentDataset(SeededDataset):
    """Samples {image [3, px, px], mask uint8 [px, px], index} by key (epoch, index).

    Of a panoptic data set the mask is int32: the codes of its segments, see `panoptic_codes`.

    Args:
        images: Images and masks.
        transform: Crops, resizes and flips an image together with its mask.
        seed: Seed of the run.
        cache_mib: Memory for decoded images in MiB, see `DecodedImages`.
    """

    def __init__(
        self, images: MaskedImages, transform: SegmentationTrain, *, seed: int = 0, cache_mib: int = 0
    ) -> None:
        super().__init__(DecodedImages(images.images, cache_mib=cache_mib), seed=seed)
        self.labels = _labels_of(images)
        self.transform = transform

    def sample(self, image: Image.Image, index: int, rng: random.Random) -> Sample:
        """Makes {image, mask}."""
        pixels, labels = self.transform(image, self.labels(index))
        return {"image": pixels, "mask": labels}


class SegmentEvaluationDataset(Dataset[Sample]):
    """Samples {image [3, H, W], mask uint8 [H, W], index} by plain index, each in its own size.

    Of a panoptic data set the mask is int32: the codes of its segments, see `panoptic_codes`.

    Args:
        images: Images and masks.
        transform: Normalises an image.
        cache_mib: Memory for decoded images in MiB, see `DecodedImages`.
    """

    def __init__(self, images: MaskedImages, transform: SegmentationEval, *, cache_mib: int = 0) -> None:
        self.images = DecodedImages(images.images, cache_mib=cache_mib)
        self.labels = _labels_of(images)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        labels = self.labels(index)
        return {"image": self.transform(self.images[index]), "mask": torch.from_numpy(labels), "index": index}


class _MaskFiles:
    """Reads masks by index; their names are one block of memory, which workers share, see `DecodedImages`."""

    def __init__(self, files: Sequence[Path], reader: MaskReader) -> None:
        self._names = np.array([os.fsencode(path) for path in files], dtype=np.bytes_)
        self._reader = reader

    def __call__(self, index: int) -> Labels:
        return self._reader(os.fsdecode(self._names[index]))


def _labels_of(images: MaskedImages) -> Callable[[int], Labels | Codes]:
    """Labels or codes by index, without the other things that workers need no copy of."""
    masks = images.masks
    if images.classes.panoptic and isinstance(masks, PanopticLabels):
        return masks.codes
    return masks if callable(masks) else _MaskFiles(masks, images.read)
