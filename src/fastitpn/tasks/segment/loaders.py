"""Images with masks for a validation or an evaluation."""

from typing import Any

import torch
from torch.utils.data import DataLoader

from fastitpn.data.datasets import collate
from fastitpn.data.segmentation.datasets import SegmentEvaluationDataset
from fastitpn.data.segmentation.images import MaskedImages
from fastitpn.data.segmentation.transforms import SegmentationEval
from fastitpn.tasks.segment.description import SegmenterDescription
from fastitpn.training.loaders import WORKERS_FROM_BATCHES, cache_mib
from fastitpn.training.loading import ImageLoader


def masked_loader(images: MaskedImages, about: SegmenterDescription, *, workers: int) -> DataLoader[Any]:
    """Images and masks one by one in their order and their own size, nothing random."""
    transform = SegmentationEval(mean=about.mean, std=about.std)
    dataset = SegmentEvaluationDataset(images, transform, cache_mib=cache_mib(workers))
    return ImageLoader(
        dataset,
        batch_size=1,
        num_workers=workers if len(images) > WORKERS_FROM_BATCHES else 0,
        collate_fn=collate,
        generator=torch.Generator(),  # else making an iterator draws from the run's
    )
