"""Enlarged inputs and CLIP's projection of timm teachers; `test_teachers` has the rest."""

import pytest
import timm
import torch

from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.timm_teacher import TimmTeacher

CLIP = "vit_xsmall_patch16_clip_224"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A function that gives a file with random weights of a model of timm."""
    folder = tmp_path_factory.mktemp("weights")

    def make(name: str):
        torch.manual_seed(0)
        torch.save(timm.create_model(name).state_dict(), folder / f"{name}.pth")
        return folder / f"{name}.pth"

    return make


@pytest.mark.parametrize("upsample", [1, 2, 4])
def test_an_enlarged_input_gives_a_finer_map(upsample, weights):
    teacher = TimmTeacher("test_vit", grid=2, weights=weights("test_vit"), upsample=upsample)
    assert teacher.px == 32 * upsample
    images = torch.randn(1, 3, teacher.px, teacher.px)
    assert teacher.features(images).shape == (1, (2 * upsample) ** 2, 64)
    assert teacher.targets(images, ("stride4",))["stride4"].shape == (1, 4, 16, 64)


def test_a_size_that_does_not_fit_the_enlarged_grid_says_which_does(weights):
    with pytest.raises(InputError, match="the student has 2, 2 times enlarged") as caught:
        TimmTeacher("test_vit", grid=2, weights=weights("test_vit"), px=32, upsample=2)
    assert caught.value.fix.startswith("teacher.px=64")


@torch.no_grad()
def test_clips_projection_is_applied_to_every_feature(weights):
    plain = TimmTeacher(CLIP, grid=4, weights=weights(CLIP))
    projected = TimmTeacher(CLIP, grid=4, weights=weights(CLIP), projection=True)
    head = timm.create_model(CLIP).get_classifier()
    head.load_state_dict(projected.encoder.get_classifier().state_dict())
    images = torch.randn(1, 3, 64, 64)
    assert (plain.dim, projected.dim) == (256, head.out_features)
    torch.testing.assert_close(projected.features(images), head(plain.features(images)))


def test_an_encoder_without_a_projection_is_refused(weights):
    with pytest.raises(InputError, match="test_vit has no projection"):
        TimmTeacher("test_vit", grid=4, weights=weights("test_vit"), projection=True)
