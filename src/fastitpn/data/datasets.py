"""Data sets for the loaders: training samples depend on (seed, epoch, index) alone, whatever the number of workers."""

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from fastitpn.data.feature_shards import FeatureShards
from fastitpn.data.images.image_source import ImageSource, as_source
from fastitpn.data.images.reading import current_reading
from fastitpn.data.images.transforms import CropPair, ImageTransform, TeacherView
from fastitpn.data.seeding import sample_seed, seeded

Sample = dict[str, Any]
"""One sample: tensors [...] and ints; `collate` makes a batch of them."""


def collate(samples: list[Sample]) -> dict[str, Tensor]:
    """Stacks samples to a batch: tensors [B, ...], ints to int64 [B]."""
    batch: dict[str, Tensor] = default_collate(samples)
    return batch


class DecodedImages:
    """Images by index, decoded when asked for, and kept in memory as far as `cache_mib` goes.

    The cache belongs to one process: with workers, each fills its own.

    Args:
        images: Image files, or where else the images lie.
        min_px: Least shorter side of JPEGs that are decoded at a reduced size; None decodes them in full.
        cache_mib: Most memory for decoded images, in MiB; those that come first stay, since an epoch visits all alike.
    """

    def __init__(self, images: ImageSource | Sequence[Path], *, min_px: int | None = None, cache_mib: int = 0) -> None:
        self.source = as_source(images)
        self._min_px = min_px
        self._how = current_reading()  # kept for processes that load images and are not forked from this one
        self._free_bytes = cache_mib * 2**20
        self._cache: dict[int, Image.Image] = {}

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Image.Image:
        """The image in RGB; do not change it in place.

        Raises:
            InputError: The file cannot be read.
        """
        if index in self._cache:
            return self._cache[index]
        image = self.source.read(index, min_px=self._min_px, how=self._how)
        size = 4 * image.width * image.height  # Pillow keeps 4 bytes per RGB pixel.
        if size <= self._free_bytes:
            self._free_bytes -= size
            self._cache[index] = image
        return image


class SeededDataset(Dataset[Sample]):
    """Samples by key (epoch, index); the same key gives the same sample, and the caller's random state is left alone.

    Args:
        images: What samples are made from.
        seed: Seed of the run.
    """

    def __init__(self, images: DecodedImages, *, seed: int) -> None:
        self.images = images
        self.seed = seed

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, ...]) -> Sample:
        epoch, index = key
        seed = sample_seed(self.seed, epoch, index)
        image = self.images[index]
        with seeded(seed):
            return self.sample(image, index, random.Random(seed)) | {"index": index}

    def sample(self, image: Image.Image, index: int, rng: random.Random) -> Sample:
        """Makes the sample of an image.

        Args:
            image: The decoded image, RGB.
            index: Place of the image among all images.
            rng: Generator for what must not depend on how much the transforms draw from the global ones.
        """
        raise NotImplementedError


class PretrainDataset(SeededDataset):
    """Samples {image [3, px, px], teacher_image [3, teacher_px, teacher_px], masked bool [N], index}.

    Args:
        images: Image files, or where else the images lie.
        views: Makes the student's and the teacher's view of an image.
        masks: Draws a mask, bool [N] with True = hidden, from a generator: `fastitpn.pretraining.masking`.
        seed: Seed of the run.
        cache_mib: Memory for decoded images in MiB, see `DecodedImages`.
        features: A teacher's stored features; the crop's part of them then is the teacher_image, [dim, side, side].
        taught: Whether there is a teacher_image at all.
        more: Views for further teachers, or their stored features, by their key in a sample.
    """

    def __init__(
        self,
        images: ImageSource | Sequence[Path],
        views: CropPair,
        masks: Callable[[random.Random], Tensor],
        *,
        seed: int = 0,
        cache_mib: int = 0,
        features: FeatureShards | None = None,
        taught: bool = True,
        more: Mapping[str, TeacherView | FeatureShards] | None = None,
    ) -> None:
        super().__init__(DecodedImages(images, min_px=views.decode_px, cache_mib=cache_mib), seed=seed)
        self.views = views
        self.masks = masks
        self.features = features
        self.taught, self.more = taught, dict(more or {})

    def sample(self, image: Image.Image, index: int, rng: random.Random) -> Sample:
        """Makes {image, teacher_image, masked}."""
        student, cut = self.views.student_view(image)
        stored = self.features
        sample: Sample = {"image": student}
        if self.taught:
            sample["teacher_image"] = self.views.teacher_view(cut) if stored is None else stored.crop(index, cut.place)
        for key, view in self.more.items():
            sample[key] = view(cut) if isinstance(view, TeacherView) else view.crop(index, cut.place)
        return sample | {"masked": self.masks(rng)}


class MixedSizes(SeededDataset):
    """Samples by key (epoch, index, place): that of one of several data sets, which differ in the size of the images.

    Args:
        datasets: Of the same images and seed, by place. The last one has the largest images, and answers a key without
            a place.
    """

    def __init__(self, datasets: Sequence[PretrainDataset]) -> None:
        largest = datasets[-1]
        super().__init__(largest.images, seed=largest.seed)
        self.datasets = tuple(datasets)
        for dataset in datasets:
            dataset.images = largest.images  # decoded once, and kept once

    def __getitem__(self, key: tuple[int, ...]) -> Sample:
        epoch, index, *place = key
        return self.datasets[place[0] if place else -1][epoch, index]


class EvaluationDataset(Dataset[Sample]):
    """Samples {image [3, px, px], index} by plain index, with `label` if labels are given. Nothing is random.

    Args:
        images: Image files, or where else the images lie.
        transform: From an RGB image to the input [3, px, px], such as `classify_eval`.
        labels: One per image, or a row of numbers per image, or None.
        cache_mib: Memory for decoded images in MiB, see `DecodedImages`.
    """

    def __init__(
        self,
        images: ImageSource | Sequence[Path],
        transform: ImageTransform,
        *,
        labels: Sequence[int] | np.ndarray | None = None,
        cache_mib: int = 0,
    ) -> None:
        self.images = DecodedImages(images, min_px=transform.decode_px, cache_mib=cache_mib)
        self.labels = None if labels is None else np.asarray(labels)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        sample: Sample = {"image": self.transform(self.images[index]), "index": index}
        return sample if self.labels is None else sample | {"label": self.labels[index]}
