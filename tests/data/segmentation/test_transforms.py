"""Image and mask go the same way; no label appears that was not there; the same seed gives the same sample."""

import numpy as np
import pytest
import torch
from PIL import Image

from fastitpn.data.seeding import seeded
from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.transforms import SegmentationEval, SegmentationTrain, scale_to

PLAIN = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def transform(**keys) -> SegmentationTrain:
    return SegmentationTrain(**{"px": 32, **PLAIN, **keys})


def picture(mask: np.ndarray) -> Image.Image:
    """A picture whose red is its label times 20."""
    return Image.fromarray(np.repeat(mask[..., None] * np.uint8(20), 3, axis=2))


@pytest.fixture
def mask() -> np.ndarray:
    """Blobs of the labels 0, 3, 7 and 11, with a part that is left out; 50 x 70 px."""
    generator = np.random.default_rng(0)
    coarse = generator.choice(np.array([0, 3, 7, 11, IGNORE], np.uint8), size=(10, 14))
    return np.kron(coarse, np.ones((5, 5), np.uint8))


@pytest.mark.parametrize("resize", [True, False])
@pytest.mark.parametrize("px", [32, 96])
def test_no_label_appears_that_was_not_there(mask, resize, px):
    view = transform(px=px, resize=resize, scale_range=(0.3, 3.0))
    for seed in range(40):
        with seeded(seed):
            image, labels = view(picture(mask), mask)
        assert (image.shape, labels.shape) == ((3, px, px), (px, px))
        assert (image.dtype, labels.dtype) == (torch.float32, torch.uint8)
        assert set(labels.unique().tolist()) <= {0, 3, 7, 11, IGNORE}


def test_image_and_mask_go_the_same_way(mask):
    mask = np.kron(np.where(mask == IGNORE, 5, mask)[::5, ::5], np.ones((16, 16), np.uint8)).astype(np.uint8)
    view = transform(photometric=False, resize=False, scale_range=(0.7, 2.0))
    for seed in range(20):
        with seeded(seed):
            image, labels = view(picture(mask), mask)
        expected = labels.float() * 20 / 255
        inside = labels != IGNORE
        # edges are blurred in the image and not in the mask
        share = ((image[0] - expected).abs() < 0.02)[inside].float().mean()
        assert share > 0.6, seed


def test_padding_is_left_out(mask):
    mask = np.where(mask == IGNORE, 5, mask).astype(np.uint8)
    with seeded(0):
        image, labels = transform(px=64, resize=False, scale_range=(0.5, 0.5), mean=(0.5,) * 3)(picture(mask), mask)
    assert (labels[:25, :35] != IGNORE).all()
    assert (labels[25:] == IGNORE).all()
    assert (labels[:, 35:] == IGNORE).all()
    assert (image[:, 25:] == 0).all()  # the mean, after normalising


def test_the_same_seed_gives_the_same_sample_whatever_was_drawn_before(mask):
    view = transform()
    samples = []
    for _ in range(2):
        torch.rand(3)
        with seeded(5):
            samples.append(view(picture(mask), mask))
    assert torch.equal(samples[0][0], samples[1][0])
    assert torch.equal(samples[0][1], samples[1][1])
    with seeded(6):
        assert not torch.equal(view(picture(mask), mask)[1], samples[0][1])


def test_scales_flips_and_crops_happen(mask):
    mask = np.zeros((64, 64), np.uint8)
    mask[:, 32:] = 1
    flipped = 0
    for seed in range(30):
        with seeded(seed):
            _, labels = transform(px=64, resize=True, scale_range=(1, 1))(picture(mask), mask)
        flipped += int(labels[0, 0])
    assert 5 < flipped < 25
    with seeded(0):
        _, whole = transform(px=64, scale_range=(1, 1), hflip=0)(picture(mask), mask)
    assert torch.equal(whole, torch.from_numpy(mask))


def test_a_crop_of_one_class_is_drawn_again():
    mask = np.zeros((96, 96), np.uint8)
    mask[70:, 70:] = 1
    plain, careful = (
        sum(
            _has_both(transform(resize=False, scale_range=(1, 1), max_class_ratio=ratio), mask, seed)
            for seed in range(40)
        )
        for ratio in (1.0, 0.9)
    )
    assert careful > 1.5 * plain


def _has_both(view: SegmentationTrain, mask: np.ndarray, seed: int) -> bool:
    with seeded(seed):
        return len(view(picture(mask), mask)[1].unique()) == 2


def test_photometric_distortion_changes_colours_alone(mask):
    changed = 0
    for seed in range(12):
        results = []
        for photometric in (False, True):
            with seeded(seed):
                results.append(transform(photometric=photometric)(picture(mask), mask))
        (plain, labels), (image, same) = results
        assert torch.equal(same, labels)
        assert image.min() >= 0
        assert image.max() <= 1
        changed += not torch.equal(image, plain)
    assert changed > 6


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (200, 3)])
def test_images_of_any_shape(size):
    mask = np.zeros(size, np.uint8)
    with seeded(0):
        image, labels = transform()(picture(mask), mask)
    assert image.shape == (3, 32, 32)
    assert set(labels.unique().tolist()) <= {0, IGNORE}


def test_the_shorter_side_becomes_px_and_the_longer_one_at_most_four_times_that():
    assert scale_to(256, 512, 128, True) == 0.5
    assert scale_to(100, 1000, 100, True) == pytest.approx(0.4)
    assert scale_to(100, 1000, 100, False) == 1


def test_evaluation_sees_the_whole_image(mask):
    image = SegmentationEval(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))(picture(mask))
    assert image.shape == (3, 50, 70)
    assert image.min() == -1


def test_codes_of_segments_stay_what_they_are(mask):
    """As many things as an image may have: no number is rounded."""
    codes = mask.astype(np.int32)
    codes[mask == 3] += 256 * 40_000
    codes[mask == IGNORE] += 256 * 65_000
    view = transform(px=48, scale_range=(0.3, 3.0))
    for seed in range(10):
        with seeded(seed):
            _, labels = view(picture(mask), mask)
        with seeded(seed):
            _, found = view(picture(mask), codes)
        assert found.dtype == torch.int32
        assert set(found.unique().tolist()) <= {*np.unique(codes).tolist(), IGNORE}
        assert torch.equal((found & 255).to(torch.uint8), labels)
