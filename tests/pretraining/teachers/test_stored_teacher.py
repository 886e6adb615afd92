"""Stored features as a teacher."""

import pytest
import torch
from published import randn, student

from fastitpn.data.feature_shards import FeatureIndex, write_index
from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.keys import create_teacher
from fastitpn.pretraining.teachers.stored import StoredKeys


def stored(folder, side: int):
    write_index(folder, FeatureIndex(teacher="timm:x", px=128, side=side, dim=5, per_shard=9, images=("a",)))
    return StoredKeys(name=f"features:{folder}")


@pytest.mark.parametrize(("side", "upsample"), [(4, 1), (7, 1), (8, 2), (15, 2), (16, 4), (40, 4)])
def test_finer_maps_give_finer_targets(tmp_path, side, upsample):
    teacher = create_teacher(stored(tmp_path, side), student(px=64))
    assert (teacher.upsample, teacher.side, teacher.dim) == (upsample, 4 * upsample, 5)
    maps = randn(2, 5, teacher.side, teacher.side)
    targets = teacher.targets(maps, ("stride4", "stride16"))
    assert {name: tuple(value.shape) for name, value in targets.items()} == {
        "stride4": (2, 16, 16, 5),
        "stride16": (2, 16, 1, 5),
    }
    if upsample == 1:
        expected = torch.nn.functional.layer_norm(maps.flatten(2).transpose(1, 2), (5,))
        torch.testing.assert_close(targets["stride16"].squeeze(2), expected)


def test_maps_that_are_too_coarse_say_what_to_change(tmp_path):
    with pytest.raises(InputError, match="too coarse: 3 per side of a whole image, the student has 4") as caught:
        create_teacher(stored(tmp_path, 3), student(px=64))
    assert caught.value.fix.startswith("px=48, or store them anew")
