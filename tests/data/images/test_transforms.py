import pickle
import random

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from fastitpn.data.images.transforms import CropPair, classify_eval, classify_train
from fastitpn.data.seeding import seeded
from fastitpn.errors import InputError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
RAW = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)}  # leaves pixel values as they are
RAW_TEACHER = {"teacher_mean": RAW["mean"], "teacher_std": RAW["std"]}


@pytest.fixture(scope="module")
def coordinates() -> Image.Image:
    """256 x 256 px; red is x, green is y."""
    y, x = np.mgrid[:256, :256].astype(np.uint8)
    return Image.fromarray(np.stack([x, y, x], axis=-1))


def extent(view: torch.Tensor) -> tuple[float, float]:
    """Width and height of the box that a view [3, px, px] of `coordinates` shows."""
    px = view.shape[-1]
    return tuple(float(view[channel].max() - view[channel].min()) * px / (px - 1) for channel in (0, 1))


def test_both_views_show_the_same_box(coordinates):
    views = CropPair(px=32, teacher_px=64, **RAW, **RAW_TEACHER)
    flips = 0
    for seed in range(60):
        with seeded(seed):
            student, teacher = views(coordinates)
        assert (student.shape, teacher.shape) == ((3, 32, 32), (3, 64, 64))
        halved = torch.nn.functional.avg_pool2d(teacher, 2)
        assert (student - halved)[:, 1:-1, 1:-1].abs().max() <= 2
        flips += bool(student[0, 0, 0] > student[0, 0, -1])
        assert student[1, 0, 0] < student[1, -1, 0]
    assert 15 < flips < 45


def test_boxes_keep_to_the_crop_scale_and_aspect(coordinates):
    views = CropPair(px=64, teacher_px=64, **RAW, **RAW_TEACHER, crop_scale=(0.3, 0.5))
    areas = []
    for seed in range(100):
        with seeded(seed):
            width, height = extent(views(coordinates)[0])
        areas.append(width * height / 256**2)
        assert 0.7 < width / height < 1.43
    assert 0.28 < min(areas) < 0.34
    assert 0.46 < max(areas) < 0.52


@pytest.mark.parametrize("hflip", [0.0, 1.0])
def test_flip_probability(coordinates, hflip):
    views = CropPair(px=16, teacher_px=16, **RAW, **RAW_TEACHER, hflip=hflip)
    train = classify_train(16, **RAW, hflip=hflip, rand_augment=None, random_erasing=0)
    for _ in range(10):
        for view in (views(coordinates)[0], train(coordinates)):
            assert bool(view[0, 0, 0] > view[0, 0, -1]) == bool(hflip)


def test_each_view_has_its_own_normalisation(photo):
    views = CropPair(px=48, teacher_px=48, **RAW, teacher_mean=MEAN, teacher_std=STD)
    student, teacher = views(photo)
    expected = v2.functional.normalize(student / 255, MEAN, STD)
    torch.testing.assert_close(teacher, expected, atol=1e-5, rtol=0)


def test_resizing_equals_pillow(photo):
    whole = {"crop_scale": (1.0, 1.0), "hflip": 0.0}
    square = photo.crop((0, 0, 72, 72))
    student, teacher = CropPair(px=32, teacher_px=144, **RAW, **RAW_TEACHER, **whole)(square)
    for view, px in ((student, 32), (teacher, 144)):
        pillow = v2.functional.pil_to_tensor(square.resize((px, px), Image.Resampling.BICUBIC))
        assert (view - pillow).abs().max() <= 1
    train = classify_train(32, **RAW, **whole, rand_augment=None, random_erasing=0)
    torch.testing.assert_close(train(square), student)


def test_colour_jitter_is_the_same_in_both_views(coordinates):
    image = Image.new("RGB", (40, 40), (100, 150, 200))
    views = CropPair(px=16, teacher_px=32, **RAW, **RAW_TEACHER, color_jitter=0.4)
    colours = set()
    for _ in range(5):
        student, teacher = views(image)
        assert student[:, 0, 0].tolist() == teacher[:, 0, 0].tolist()
        colours.add(tuple(student[:, 0, 0].tolist()))
    assert len(colours) == 5


def test_reduced_decoding_leaves_every_crop_large_enough():
    views = CropPair(px=32, teacher_px=64, **RAW, **RAW_TEACHER, crop_scale=(0.2, 1.0))
    assert views.decode_px == 166  # 64 / sqrt(0.2 * 3/4)
    y, x = np.mgrid[:166, :250].astype(np.uint8)
    image = Image.fromarray(np.stack([x, y, x], axis=-1))
    assert min(min(extent(views(image)[1])) for _ in range(200)) >= 63
    assert classify_train(64, **RAW, crop_scale=(0.2, 1.0)).decode_px == 166
    assert classify_eval(64, **RAW).decode_px is None


@pytest.mark.parametrize(("px", "shorter"), [(64, 73), (224, 256), (384, 384)])
def test_evaluation_resizes_then_crops_the_centre(photo, px, shorter):
    image = photo.resize((480, 400))
    expected = v2.Compose(
        [
            v2.Resize(shorter, v2.InterpolationMode.BICUBIC),
            v2.CenterCrop(px),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )(image)
    torch.testing.assert_close(classify_eval(px, mean=MEAN, std=STD)(image), expected, atol=1e-5, rtol=0)


def test_training_view_depends_on_the_seed(photo):
    transform = classify_train(48, mean=MEAN, std=STD)
    results = []
    for seed in (1, 1, 2):
        with seeded(seed):
            results.append(transform(photo))
    assert results[0].shape == (3, 48, 48)
    assert results[0].dtype == torch.float32
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_random_erasing_replaces_pixels_with_noise():
    image = Image.new("RGB", (32, 32), (0, 0, 0))
    erased = classify_train(32, **RAW, rand_augment=None, random_erasing=1.0)(image)
    kept = classify_train(32, **RAW, rand_augment=None, random_erasing=0.0)(image)
    assert 0.01 < (erased != 0).float().mean() < 0.5
    assert bool((kept == 0).all())


@pytest.mark.parametrize("policy", ["rand-m9-mstd0.5-inc1", "rand-m10-n15-p1.0-inc1", "rand-m10-n15-p1.0"])
def test_every_augmentation_runs(photo, policy):
    transform = classify_train(32, mean=MEAN, std=STD, rand_augment=policy)
    for seed in range(40):
        with seeded(seed):
            assert bool(transform(photo).isfinite().all())


@pytest.mark.parametrize("policy", ["ran-m9", "rand-x9", "rand-mnine1"])
def test_unknown_policies_are_refused(policy):
    with pytest.raises(InputError, match=rf"(?s)rand_augment is '{policy}'.*timm.*rand-m9-mstd0.5-inc1"):
        classify_train(32, mean=MEAN, std=STD, rand_augment=policy)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 200), (200, 1)])
def test_images_of_a_few_pixels(size):
    image = Image.new("RGB", size, (10, 20, 30))
    views = CropPair(px=32, teacher_px=16, **RAW, **RAW_TEACHER)
    train, evaluate = classify_train(32, **RAW, rand_augment=None), classify_eval(32, **RAW)
    for seed in range(20):
        random.seed(seed)
        assert views(image)[1].shape == (3, 16, 16)
        assert train(image).shape == evaluate(image).shape == (3, 32, 32)


def test_transforms_can_be_sent_to_workers(photo):
    for transform in (
        CropPair(px=32, teacher_px=32, **RAW, **RAW_TEACHER, color_jitter=0.1),
        classify_train(32, mean=MEAN, std=STD),
        classify_eval(32, mean=MEAN, std=STD),
    ):
        results = []
        for copy in (transform, pickle.loads(pickle.dumps(transform))):
            with seeded(0):
                results.append(copy(photo))
        torch.testing.assert_close(results[0], results[1], atol=0, rtol=0)
