"""Samples depend on (seed, epoch, index) alone."""

import pytest
import torch
from torch.utils.data import DataLoader

from fastitpn.data.datasets import collate
from fastitpn.data.segmentation.datasets import SegmentDataset, SegmentEvaluationDataset
from fastitpn.data.segmentation.images import MaskFolders, segmentation_split
from fastitpn.data.segmentation.transforms import SegmentationEval, SegmentationTrain

NORMAL = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}


@pytest.fixture(scope="module")
def parts(segment_scenes):
    return segmentation_split(MaskFolders(data=segment_scenes))


def test_the_same_key_gives_the_same_sample(parts):
    one, two = (SegmentDataset(parts[0], SegmentationTrain(px=32, **NORMAL), seed=3, cache_mib=m) for m in (0, 8))
    for key in ((0, 1), (0, 2), (5, 1)):
        assert all(torch.equal(torch.as_tensor(one[key][name]), torch.as_tensor(two[key][name])) for name in one[key])
    assert not torch.equal(one[(0, 1)]["image"], one[(1, 1)]["image"])
    other = SegmentDataset(parts[0], SegmentationTrain(px=32, **NORMAL), seed=4)
    assert not torch.equal(one[(0, 1)]["image"], other[(0, 1)]["image"])


def test_workers_change_nothing(parts):
    dataset = SegmentDataset(parts[0], SegmentationTrain(px=32, **NORMAL))
    keys = [[(0, 3), (0, 1)], [(1, 2), (2, 2)]]
    alone, helped = (
        list(DataLoader(dataset, batch_sampler=keys, num_workers=workers, collate_fn=collate)) for workers in (0, 1)
    )
    for one, two in zip(alone, helped, strict=True):
        assert one["mask"].dtype == torch.uint8
        assert all(torch.equal(one[name], two[name]) for name in ("image", "mask", "index"))


def test_evaluation_keeps_the_size_of_each_image(parts):
    dataset = SegmentEvaluationDataset(parts[1], SegmentationEval(**NORMAL))
    assert len(dataset) == 5
    sizes = set()
    for place in range(5):
        sample = dataset[place]
        assert sample["image"].shape[1:] == sample["mask"].shape
        assert sample["index"] == place
        sizes.add(tuple(sample["mask"].shape))
    assert len(sizes) > 1
