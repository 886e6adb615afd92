"""Teachers of timm: the grid, what they see, and what they give."""

import pytest
import timm
import torch
from PIL import Image
from published import randn
from timm.data import create_transform, resolve_data_config

from fastitpn.data.datasets import PretrainDataset
from fastitpn.data.images.transforms import CropPair
from fastitpn.errors import InputError
from fastitpn.models.weights.official_names import to_official_names
from fastitpn.pretraining.masking import RandomMasks
from fastitpn.pretraining.teachers.timm_teacher import TimmTeacher

CLIP = "vit_xsmall_patch16_clip_224"


@pytest.mark.parametrize(
    ("name", "px", "dim"),
    [
        ("test_vit", 64, 64),  # a class token, and a position table to resize
        ("eva02_tiny_patch14_224", 56, 192),  # stride 14
        ("deit_tiny_distilled_patch16_224", 64, 192),  # two tokens in front
        ("test_resnet", 128, 96),  # stride 32
        ("test_efficientnet", 128, 256),  # more channels at the end than its stages have
        ("mambaout_femto", 128, 288),  # channels last
        ("fastitpn_nano", 64, 192),  # one of ours
    ],
)
def test_its_size_follows_from_the_students_patches(name, px, dim, weights):
    teacher = TimmTeacher(name, grid=4, weights=weights(name))
    assert (teacher.px, teacher.dim) == (px, dim)
    assert teacher(torch.randn(2, 3, px, px)).shape == (2, 16, dim)


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "fastitpn_nano"])
def test_features_lie_row_by_row(name, weights):
    """A change of the top right corner shows there most."""
    teacher = TimmTeacher(name, grid=4, weights=weights(name))
    image = torch.zeros(1, 3, teacher.px, teacher.px)
    changed = image.clone()
    cell = teacher.px // 4
    changed[..., :cell, -cell:] = randn(3, cell, cell)
    difference = (teacher.features(changed) - teacher.features(image)).norm(dim=-1)
    assert int(difference.argmax()) == 3


def test_tokens_that_are_no_patch_are_dropped(weights):
    teacher = TimmTeacher("deit_tiny_distilled_patch16_224", grid=4, weights=weights("deit_tiny_distilled_patch16_224"))
    images = torch.randn(1, 3, 64, 64)
    tokens = teacher.encoder.forward_features(images)
    assert tokens.shape[1] == 2 + 16
    torch.testing.assert_close(teacher.features(images), tokens[:, 2:])


def test_channels_last_maps_are_not_turned(weights):
    teacher = TimmTeacher("mambaout_femto", grid=2, weights=weights("mambaout_femto"))
    images = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(teacher.features(images), teacher.encoder.forward_features(images).flatten(1, 2))


@pytest.mark.parametrize("px", [100, 64, 256])
def test_a_size_that_does_not_fit_names_the_right_one(px, weights):
    with pytest.raises(InputError, match="the teacher's grid does not fit") as caught:
        TimmTeacher("test_resnet", grid=4, weights=weights("test_resnet"), px=px)
    error = caught.value
    assert f"at {px} px it has {px / 32:g} patches a side, the student has 4" in error.what
    assert (error.where, error.expected) == ("teacher.px", "128 px (stride 32)")
    assert error.fix == "teacher.px=128, or leave teacher.px out"


def test_an_encoder_of_one_size_names_the_student_that_fits(weights):
    with pytest.raises(InputError, match="does not run at 64 px: Input height") as caught:
        TimmTeacher("gmlp_ti16_224", grid=4, weights=weights("gmlp_ti16_224"))
    assert caught.value.where == "teacher"
    assert caught.value.fix == "px=224, or another teacher=timm:NAME"


def test_an_encoder_with_another_grid_than_its_stride_says(weights, monkeypatch):
    name = "test_resnet"
    teacher = TimmTeacher(name, grid=2, weights=weights(name))
    teacher.grid = 3
    with pytest.raises(InputError, match="the teacher gives 4 features an image, where 9 fit the student's patches"):
        teacher.features(torch.zeros(1, 3, 64, 64))


def test_the_image_is_normalised_once_as_the_teacher_was_trained(weights, tmp_path):

    teacher = TimmTeacher("test_vit3", grid=4, weights=weights("test_vit3"))
    assert teacher.mean == (0.5, 0.5, 0.5)  # not ImageNet's
    pixels = torch.randint(0, 256, (64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    image = Image.fromarray(pixels.numpy())
    image.save(tmp_path / "a.png")
    views = CropPair(
        px=32,
        teacher_px=64,
        mean=(0.1, 0.2, 0.3),
        std=(0.5, 0.6, 0.7),
        teacher_mean=teacher.mean,
        teacher_std=teacher.std,
        crop_scale=(1, 1),
        hflip=0,
    )
    sample = PretrainDataset([tmp_path / "a.png"], views, RandomMasks((2, 2), 1))[0, 0]
    theirs = create_transform(**resolve_data_config({"img_size": 64, "crop_pct": 1.0}, model=teacher.encoder))
    torch.testing.assert_close(sample["teacher_image"], theirs(image), atol=1e-5, rtol=0)
    seen = []
    teacher.encoder.patch_embed.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    teacher(sample["teacher_image"][None])
    assert torch.equal(seen[0], sample["teacher_image"][None])


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


def test_weights_that_cannot_be_fetched(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="the teacher's weights cannot be fetched") as caught:
        TimmTeacher("test_vit2", grid=4)
    assert caught.value.where == "teacher=timm:test_vit2"
    assert caught.value.fix == "teacher.weights=FILE"


def test_a_model_without_weights_of_its_own():
    with pytest.raises(InputError, match="cannot be fetched: no file is published for fastitpn_nano") as caught:
        TimmTeacher("fastitpn_nano", grid=4)
    assert caught.value.fix == "teacher.weights=FILE"


def test_a_published_model_that_was_not_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTITPN_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="cannot be fetched: published:tiny was not fetched yet") as caught:
        TimmTeacher("fastitpn_tiny", grid=4)
    assert caught.value.fix == "fastitpn weights get tiny, or teacher.weights=FILE"


def test_a_model_of_ours_takes_any_of_its_files(tmp_path):
    torch.manual_seed(0)
    model = timm.create_model("fastitpn_nano")
    torch.save({"module": to_official_names(model.state_dict())}, tmp_path / "a.pt")
    teacher = TimmTeacher("fastitpn_nano", grid=4, weights=tmp_path / "a.pt")
    assert torch.equal(teacher.encoder.stages[2].blocks[0].attn.q_bias, model.stages[2].blocks[0].attn.q_bias)
    assert torch.equal(teacher.encoder.patch_embed.proj.weight, model.patch_embed.proj.weight)
