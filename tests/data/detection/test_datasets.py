"""Samples depend on (seed, epoch, index) alone."""

import pytest
import torch
from torch.utils.data import DataLoader

from fastitpn.data.detection.datasets import DetectDataset, DetectEvaluationDataset, collate_detect
from fastitpn.data.detection.images import detection_split
from fastitpn.data.detection.transforms import DetectEval, DetectTrain

NORMAL = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
VIEW = DetectTrain(square_px=48, scale_range=(0.5, 2.0), **NORMAL)


@pytest.fixture(scope="module")
def parts(detect_scenes):
    return detection_split(detect_scenes)


def assert_same(one, other):
    assert set(one) == set(other)
    assert all(torch.equal(torch.as_tensor(one[name]), torch.as_tensor(other[name])) for name in one)


def test_the_same_key_gives_the_same_sample(parts):
    one, two = (DetectDataset(parts[0], VIEW, seed=3, cache_mib=cache) for cache in (0, 8))
    assert set(one[(0, 1)]) == {"image", "boxes", "labels", "masks", "ignored", "index"}
    for key in ((0, 1), (0, 2), (5, 1)):
        assert_same(one[key], two[key])
    assert not torch.equal(one[(0, 1)]["image"], one[(1, 1)]["image"])
    assert not torch.equal(one[(0, 1)]["image"], DetectDataset(parts[0], VIEW, seed=4)[(0, 1)]["image"])


def test_a_sample_leaves_the_random_state_alone(parts):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _ = DetectDataset(parts[0], VIEW)[(0, 0)]
    assert torch.equal(torch.rand(3), expected)


def test_workers_change_nothing(parts):
    dataset = DetectDataset(parts[0], DetectTrain(px=(32, 48), max_px=64, **NORMAL))
    keys = [[(0, 3), (0, 1)], [(1, 2), (2, 2)]]
    alone, helped = (
        list(DataLoader(dataset, batch_sampler=keys, num_workers=workers, collate_fn=collate_detect))
        for workers in (0, 1)
    )
    for one, two in zip(alone, helped, strict=True):
        assert torch.equal(one["index"], two["index"])
        for name in ("image", "boxes", "labels", "masks"):
            assert len(one[name]) == 2
            assert all(torch.equal(a, b) for a, b in zip(one[name], two[name], strict=True))


def test_masks_are_there_if_they_were_asked_for(detect_scenes):
    train, val = detection_split(detect_scenes, with_masks=False)
    assert "masks" not in DetectDataset(train, VIEW)[(0, 0)]
    assert "masks" not in DetectEvaluationDataset(val, DetectEval(**NORMAL))[0]


def test_evaluation_keeps_annotations_in_pixels_of_the_file(parts):
    dataset = DetectEvaluationDataset(parts[1], DetectEval(px=32, max_px=48, **NORMAL))
    assert len(dataset) == 5
    batch = collate_detect([dataset[place] for place in range(5)])
    assert batch["index"].tolist() == [0, 1, 2, 3, 4]
    assert batch["size"] == parts[1].sizes
    assert batch["image_id"] == [parts[1].image_ids(index) for index in range(5)]
    assert len({image.shape for image in batch["image"]}) > 1
    for index in range(5):
        things = parts[1].annotations(index)
        assert torch.equal(batch["boxes"][index], things.boxes)
        assert batch["masks"][index] == things.masks
        assert min(batch["image"][index].shape[1:]) <= 32
    again = next(iter(DataLoader(dataset, batch_size=5, num_workers=1, collate_fn=collate_detect)))
    assert again["masks"] == batch["masks"]
    assert torch.equal(again["image"][4], batch["image"][4])
