"""Data sets of images with one class each, or with any number of labels, for training."""

import random

import numpy as np
from PIL import Image

from fastitpn.data.classification.labelled import LabelledImages
from fastitpn.data.classification.multilabel import MultilabelImages
from fastitpn.data.datasets import DecodedImages, Sample, SeededDataset
from fastitpn.data.images.transforms import ImageTransform

ClassifiedImages = LabelledImages | MultilabelImages


class ClassifyDataset(SeededDataset):
    """Samples {image [3, px, px], label, index}; the label is an index, or [classes] of 0 and 1."""

    def __init__(
        self, images: ClassifiedImages, transform: ImageTransform, *, seed: int = 0, cache_mib: int = 0
    ) -> None:
        super().__init__(DecodedImages(images.paths, min_px=transform.decode_px, cache_mib=cache_mib), seed=seed)
        self.labels = np.asarray(images.labels)
        self.transform = transform

    def sample(self, image: Image.Image, index: int, rng: random.Random) -> Sample:
        """Makes {image, label}."""
        return {"image": self.transform(image), "label": self.labels[index]}
