"""Data sets of images with boxes and masks, for training and for evaluation."""

import random
from collections.abc import Callable
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset

from fastitpn.data.datasets import DecodedImages, Sample, SeededDataset
from fastitpn.data.detection.annotations import DetectionImages
from fastitpn.data.detection.transforms import DetectTrain


class DetectDataset(SeededDataset):
    """Samples {image, boxes, labels, ignored, masks, index} by key (epoch, index), as `DetectTrain` makes them.

    Args:
        images: Images and annotations; with masks, samples have them too.
        transform: Crops, resizes and flips an image together with its annotations.
        seed: Seed of the run.
        cache_mib: Memory for decoded images in MiB, see `DecodedImages`.
    """

    def __init__(self, images: DetectionImages, transform: DetectTrain, *, seed: int = 0, cache_mib: int = 0) -> None:
        super().__init__(DecodedImages(images.paths, cache_mib=cache_mib), seed=seed)
        self.annotated = images
        self.transform = transform

    def sample(self, image: Image.Image, index: int, rng: random.Random) -> Sample:
        """Makes {image, boxes, labels, ignored, masks}."""
        return self.transform(image, self.annotated.annotations(index))


class DetectEvaluationDataset(Dataset[Sample]):
    """Samples {image [3, h, w], index, image_id, size, boxes, labels, crowd, area, ids, masks} by plain index.

    Only the image is in the size in which it is looked at: `size` is the height and width of its file, upright, and
    `boxes`, `area` and `masks` (packed, if there are any) are in pixels of that. Crowds are among them.

    Args:
        images: Images and annotations.
        transform: Resizes and normalises an image, such as `DetectEval`.
        cache_mib: Memory for decoded images in MiB, see `DecodedImages`.
    """

    def __init__(self, images: DetectionImages, transform: Callable[[Image.Image], Any], *, cache_mib: int = 0) -> None:
        self.images = DecodedImages(images.paths, cache_mib=cache_mib)
        self.annotated = images
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        image, annotations = self.images[index], self.annotated.annotations(index)
        sample: Sample = {
            "image": self.transform(image),
            "index": index,
            "image_id": self.annotated.image_ids(index),
            "size": (image.height, image.width),
            "boxes": annotations.boxes,
            "labels": annotations.labels,
            "crowd": annotations.crowd,
            "area": annotations.area,
            "ids": annotations.ids,
        }
        return sample if annotations.masks is None else sample | {"masks": annotations.masks}


def collate_detect(samples: list[Sample]) -> dict[str, Any]:
    """A batch of images of any sizes: `index` int64 [B], and a list with one item for each image under other keys."""
    batch: dict[str, Any] = {key: [sample[key] for sample in samples] for key in samples[0]}
    return batch | {"index": torch.tensor(batch["index"])}
