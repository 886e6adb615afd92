"""Stored features: what is written comes back, cropped as its image."""

import numpy as np
import pytest
import torch

from fastitpn.data.feature_shards import (
    INDEX,
    FeatureIndex,
    FeatureShards,
    images_per_shard,
    read_index,
    shard_path,
    write_index,
    write_shard,
)
from fastitpn.data.images.transforms import Crop
from fastitpn.errors import InputError

WHOLE = Crop(left=0, top=0, width=1, height=1, flipped=False)
INDEX_OF_5 = FeatureIndex(
    teacher="timm:test_vit", px=64, side=4, dim=3, per_shard=2, images=("a.jpg", "b/c.jpg", "d", "e", "f")
)


@pytest.fixture
def stored(tmp_path):
    """Five images in three files, and their maps [5, 3, 4, 4]."""
    features = torch.randn(5, 16, 3, generator=torch.Generator().manual_seed(0)).half().float()
    write_index(tmp_path / "f", INDEX_OF_5)
    for shard in range(3):
        write_shard(tmp_path / "f", shard, features[2 * shard : 2 * shard + 2])
    return tmp_path / "f", features.transpose(1, 2).reshape(5, 3, 4, 4)


def test_a_whole_image_comes_back_by_its_name(stored):
    folder, maps = stored
    shards = FeatureShards(folder, ["e", "a.jpg"], side=4)
    torch.testing.assert_close(shards.crop(0, WHOLE), maps[3])
    torch.testing.assert_close(shards.crop(1, WHOLE), maps[0])


def test_a_flipped_image_has_a_flipped_map(stored):
    folder, maps = stored
    flipped = Crop(left=0, top=0, width=1, height=1, flipped=True)
    torch.testing.assert_close(FeatureShards(folder, ["d"], side=4).crop(0, flipped), maps[2].flip(2))


def test_a_crop_on_the_grid_is_that_part_of_the_map(stored):
    folder, maps = stored
    crop = Crop(left=0.5, top=0.25, width=0.5, height=0.5, flipped=False)
    torch.testing.assert_close(FeatureShards(folder, ["d"], side=2).crop(0, crop), maps[2][:, 1:3, 2:4])
    flipped = Crop(left=0.5, top=0.25, width=0.5, height=0.5, flipped=True)
    torch.testing.assert_close(FeatureShards(folder, ["d"], side=2).crop(0, flipped), maps[2][:, 1:3, 2:4].flip(2))


def test_a_finer_map_is_interpolated(stored):
    folder, maps = stored
    fine = FeatureShards(folder, ["f"], side=8).crop(0, WHOLE)
    expected = torch.nn.functional.interpolate(maps[4:], scale_factor=2, mode="bilinear")[0]
    torch.testing.assert_close(fine, expected, atol=1e-5, rtol=1e-5)


def test_the_index_comes_back_and_another_one_is_refused(stored):
    folder, _ = stored
    assert read_index(folder) == INDEX_OF_5
    write_index(folder, INDEX_OF_5)  # the same: goes on
    with pytest.raises(InputError, match="features of other images or of another teacher"):
        write_index(folder, FeatureIndex(**{**vars(INDEX_OF_5), "px": 32}))


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="the folder is not empty"):
        write_index(tmp_path, INDEX_OF_5)


def test_images_without_features_are_named(stored):
    with pytest.raises(InputError, match=r"1 of 2 images have no stored features, such as z\.jpg"):
        FeatureShards(stored[0], ["a.jpg", "z.jpg"], side=4)


@pytest.mark.parametrize("damage", ["missing", "cut", "other shape"])
def test_a_damaged_file_is_found_before_the_first_step(stored, damage):
    folder, _ = stored
    path = shard_path(folder, 1)
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:150])
    else:
        np.save(path, np.zeros((1, 16, 3), dtype=np.float16))
    with pytest.raises(InputError, match="1 of 3 files are missing or damaged") as caught:
        FeatureShards(folder, ["a.jpg"], side=4)
    assert caught.value.where == path
    assert "cache-features" in caught.value.fix


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": "other"}', '{"format": "fastitpn-features-1"}'])
def test_what_is_no_folder_of_features(tmp_path, content):
    if content is not None:
        (tmp_path / INDEX).write_text(content)
    with pytest.raises(InputError, match="there are no stored features here"):
        read_index(tmp_path)


def test_files_have_a_sensible_size():
    assert images_per_shard(14, 768) == 891
    assert images_per_shard(500, 4096) == 1
