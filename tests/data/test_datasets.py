import os
import random

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from fastitpn.data.classification.datasets import ClassifyDataset
from fastitpn.data.classification.labelled import LabelledImages
from fastitpn.data.datasets import DecodedImages, EvaluationDataset, MixedSizes, PretrainDataset, collate
from fastitpn.data.images.transforms import CropPair, classify_eval, classify_train
from fastitpn.errors import InputError

HALF = (0.5, 0.5, 0.5)
NORMALISATION = {"mean": HALF, "std": HALF, "teacher_mean": HALF, "teacher_std": HALF}


def random_mask(rng: random.Random) -> torch.Tensor:
    return torch.tensor([rng.random() < 0.5 for _ in range(16)])


@pytest.fixture
def paths(tmp_path, write_images):
    return write_images(tmp_path / "photos", *(f"{i}.jpg" for i in range(12)))


def pretrain_dataset(paths, **settings) -> PretrainDataset:
    jitter = settings.pop("color_jitter", 0.0)
    views = CropPair(px=16, teacher_px=32, **NORMALISATION, color_jitter=jitter)
    return PretrainDataset(paths, views, random_mask, **settings)


def classify_dataset(paths, **settings) -> ClassifyDataset:
    labels = [i % 3 for i in range(len(paths))]
    images = LabelledImages(paths=list(paths), labels=labels, classes=["a", "b", "c"])
    return ClassifyDataset(images, classify_train(16, mean=HALF, std=HALF), **settings)


def same(first, second) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(torch.as_tensor(first[name]), torch.as_tensor(second[name])) for name in first
    )


def test_pretrain_batch(paths):
    dataset = pretrain_dataset(paths)
    assert len(dataset) == 12
    batch = collate([dataset[0, 3], dataset[0, 5]])
    assert {name: (tuple(value.shape), value.dtype) for name, value in batch.items()} == {
        "image": ((2, 3, 16, 16), torch.float32),
        "teacher_image": ((2, 3, 32, 32), torch.float32),
        "masked": ((2, 16), torch.bool),
        "index": ((2,), torch.int64),
    }
    assert batch["index"].tolist() == [3, 5]


def test_a_mix_gives_the_crop_in_the_size_of_the_place(paths):
    views = [CropPair(px=px, teacher_px=32, **NORMALISATION) for px in (16, 48)]
    small, large = (PretrainDataset(paths, view, random_mask, seed=3) for view in views)
    mix = MixedSizes([small, large])
    assert mix[1, 2, 0]["image"].shape == (3, 16, 16)
    assert same(mix[1, 2], large[1, 2])
    assert same(mix[1, 2, 1], large[1, 2])
    assert torch.equal(mix[1, 2, 0]["teacher_image"], large[1, 2]["teacher_image"])
    assert small.images is large.images


def test_crops_of_aspect_1_are_squares_of_the_image():
    image = Image.new("RGB", (300, 200))
    views = CropPair(px=16, teacher_px=16, **NORMALISATION, crop_aspect=(1, 1))
    for seed in range(5):
        torch.manual_seed(seed)
        random.seed(seed)
        place = views.student_view(image)[1].place
        assert round(place.width * 300) == round(place.height * 200)
    assert CropPair(px=16, teacher_px=16, **NORMALISATION).crop_aspect == (0.75, 4 / 3)


def test_classify_batch(paths):
    dataset = classify_dataset(paths)
    batch = collate([dataset[0, 4], dataset[2, 11]])
    assert {name: (tuple(value.shape), value.dtype) for name, value in batch.items()} == {
        "image": ((2, 3, 16, 16), torch.float32),
        "label": ((2,), torch.int64),
        "index": ((2,), torch.int64),
    }
    assert batch["label"].tolist() == [1, 2]
    assert batch["index"].tolist() == [4, 11]


@pytest.mark.parametrize("make", [pretrain_dataset, classify_dataset])
def test_samples_depend_on_seed_epoch_and_index_alone(paths, make):
    sample = make(paths, seed=5)[2, 7]
    dataset = make(paths, seed=5)
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    _ = dataset[0, 1]
    assert same(dataset[2, 7], sample)
    for other in (dataset[3, 7], dataset[2, 8], make(paths, seed=6)[2, 7]):
        assert not torch.equal(other["image"], sample["image"])


def test_masks_do_not_depend_on_the_augmentation(paths):
    plain, jittered = pretrain_dataset(paths)[0, 2], pretrain_dataset(paths, color_jitter=0.4)[0, 2]
    assert torch.equal(plain["masked"], jittered["masked"])
    assert not torch.equal(plain["image"], jittered["image"])
    assert not torch.equal(plain["masked"], pretrain_dataset(paths)[0, 3]["masked"])


@pytest.mark.parametrize("make", [pretrain_dataset, classify_dataset])
def test_the_callers_random_state_is_left_alone(paths, make):
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    _ = make(paths)[0, 0]
    assert random.getstate() == states[0]
    assert np.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # Python 3.12 on forks
@pytest.mark.parametrize("make", [pretrain_dataset, classify_dataset])
def test_any_number_of_workers_gives_the_same_batches(paths, make):
    keys = [[(epoch, index), (epoch, (index + 5) % 12), (epoch + 1, index)] for epoch in range(2) for index in range(4)]

    def batches(workers: int, cache_mib: int = 0):
        dataset = make(paths, seed=1, cache_mib=cache_mib)
        return list(DataLoader(dataset, batch_sampler=keys, num_workers=workers, collate_fn=collate))

    expected = batches(0)
    assert len(expected) == 8
    for other in (batches(2), batches(0, cache_mib=1), batches(2, cache_mib=1)):
        assert all(same(first, second) for first, second in zip(expected, other, strict=True))


def test_cached_images_are_not_read_again(paths):
    dataset = pretrain_dataset(paths, cache_mib=1)
    sample = dataset[0, 0]
    paths[0].unlink()
    assert same(dataset[0, 0], sample)
    with pytest.raises(InputError, match="does not exist"):
        pretrain_dataset(paths)[0, 0]


def test_the_cache_is_bounded(tmp_path, photo):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path in paths:
        photo.resize((400, 400)).save(path)  # 0.61 MiB decoded
    images = DecodedImages(paths, cache_mib=1)
    assert [images[i].size for i in range(3)] == [(400, 400)] * 3
    for path in paths:
        path.unlink()
    assert images[0].size == (400, 400)
    for i in (1, 2):
        with pytest.raises(InputError):
            images[i]


def test_jpegs_are_decoded_no_larger_than_the_views_need(tmp_path, photo):
    photo.resize((1600, 1200)).save(tmp_path / "a.jpg")
    assert pretrain_dataset([tmp_path / "a.jpg"]).images[0].size == (200, 150)
    assert EvaluationDataset([tmp_path / "a.jpg"], classify_eval(16, mean=HALF, std=HALF)).images[0].size == (
        1600,
        1200,
    )


def test_names_of_any_bytes(tmp_path, photo):
    path = tmp_path / os.fsdecode(b"caf\xe9 \xf0\x9f\x90\x88.png")
    photo.save(path)
    images = DecodedImages([path, tmp_path / "x"])
    assert images.source.path(0) == path
    assert images[0].size == photo.size


def test_unreadable_images_are_named(paths):
    paths[3].write_bytes(paths[3].read_bytes()[:400])
    with pytest.raises(InputError, match=r"(?s)cannot read this image.*3\.jpg.*replace or delete this file"):
        classify_dataset(paths)[0, 3]


def test_evaluation_is_plain(paths):
    transform = classify_eval(16, mean=HALF, std=HALF)
    labels = list(range(12))
    batch = next(iter(DataLoader(EvaluationDataset(paths, transform, labels=labels), batch_size=12)))
    assert batch["label"].tolist() == batch["index"].tolist() == labels
    assert batch["image"].shape == (12, 3, 16, 16)
    unlabelled = EvaluationDataset(paths, transform)
    assert set(unlabelled[0]) == {"image", "index"}
    assert torch.equal(unlabelled[4]["image"], unlabelled[4]["image"])
    assert torch.equal(unlabelled[4]["image"], batch["image"][4])
