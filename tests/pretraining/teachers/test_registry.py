"""Teachers: what they see, on which grid, what they give, and how they follow or stay."""

import copy
import random

import pytest
import timm
import torch
import torch.nn.functional as F
from published import nano, randn
from safetensors.torch import save_file
from timm.data import create_transform, resolve_data_config

from fastitpn.data.datasets import PretrainDataset
from fastitpn.data.images.transforms import TwoViews
from fastitpn.errors import InputError
from fastitpn.pretraining.masking import RandomMasks
from fastitpn.pretraining.teachers.base import Teacher
from fastitpn.pretraining.teachers.ema_teacher import EmaTeacher
from fastitpn.pretraining.teachers.encoder_weights import load_encoder_weights
from fastitpn.pretraining.teachers.registry import create_teacher
from fastitpn.pretraining.teachers.timm_teacher import TimmTeacher

STUDENT = {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A function that gives a file with random weights of a model of timm."""
    folder = tmp_path_factory.mktemp("weights")

    def make(name: str):
        path = folder / f"{name}.pth"
        if not path.exists():
            torch.manual_seed(0)
            torch.save(timm.create_model(name).state_dict(), path)
        return path

    return make


def student_and_teacher(**keys):
    """A student of 64 px and its moving average."""
    backbone = nano(img_size=64, pyramid=True, num_classes=0, global_pool="")
    return backbone, create_teacher("ema", student=backbone, px=64, **STUDENT, **keys)


class Student(torch.nn.Module):
    """What the teacher follows."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone


class TestGrid:
    """One feature per patch of the student, whatever the encoder."""

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
    def test_its_size_follows_from_the_students_patches(self, name, px, dim, weights):
        teacher = TimmTeacher(name, grid=4, weights=weights(name))
        assert (teacher.px, teacher.dim) == (px, dim)
        assert teacher(torch.randn(2, 3, px, px)).shape == (2, 16, dim)

    @pytest.mark.parametrize("name", ["test_vit", "test_resnet", "fastitpn_nano"])
    def test_features_lie_row_by_row(self, name, weights):
        """A change of the top right corner shows there most."""
        teacher = TimmTeacher(name, grid=4, weights=weights(name))
        image = torch.zeros(1, 3, teacher.px, teacher.px)
        changed = image.clone()
        cell = teacher.px // 4
        changed[..., :cell, -cell:] = randn(3, cell, cell)
        difference = (teacher.features(changed) - teacher.features(image)).norm(dim=-1)
        assert int(difference.argmax()) == 3

    def test_tokens_that_are_no_patch_are_dropped(self, weights):
        teacher = TimmTeacher(
            "deit_tiny_distilled_patch16_224", grid=4, weights=weights("deit_tiny_distilled_patch16_224")
        )
        images = torch.randn(1, 3, 64, 64)
        tokens = teacher.encoder.forward_features(images)
        assert tokens.shape[1] == 2 + 16
        torch.testing.assert_close(teacher.features(images), tokens[:, 2:])

    def test_channels_last_maps_are_not_turned(self, weights):
        teacher = TimmTeacher("mambaout_femto", grid=2, weights=weights("mambaout_femto"))
        images = torch.randn(1, 3, 64, 64)
        torch.testing.assert_close(teacher.features(images), teacher.encoder.forward_features(images).flatten(1, 2))

    @pytest.mark.parametrize("px", [100, 64, 256])
    def test_a_size_that_does_not_fit_names_the_right_one(self, px, weights):
        with pytest.raises(InputError, match="the teacher's grid does not fit") as caught:
            TimmTeacher("test_resnet", grid=4, weights=weights("test_resnet"), px=px)
        error = caught.value
        assert f"at {px} px it has {px / 32:g} patches a side, the student has 4" in error.what
        assert (error.where, error.expected) == ("teacher.px", "128 px (stride 32)")
        assert error.fix == "teacher.px=128, or leave teacher.px out"

    def test_an_encoder_of_one_size_names_the_student_that_fits(self, weights):
        with pytest.raises(InputError, match="does not run at 64 px: Input height") as caught:
            TimmTeacher("gmlp_ti16_224", grid=4, weights=weights("gmlp_ti16_224"))
        assert caught.value.where == "teacher"
        assert caught.value.fix == "px=224, or another teacher=timm:NAME"

    def test_an_encoder_with_another_grid_than_its_stride_says(self, weights, monkeypatch):
        name = "test_resnet"
        teacher = TimmTeacher(name, grid=2, weights=weights(name))
        teacher.grid = 3
        with pytest.raises(
            InputError, match="the teacher gives 4 features an image, where 9 fit the student's patches"
        ):
            teacher.features(torch.zeros(1, 3, 64, 64))


class TestTarget:
    """What the student is to predict."""

    def test_the_image_is_normalised_once_as_the_teacher_was_trained(self, weights, tmp_path):
        from PIL import Image

        teacher = TimmTeacher("test_vit3", grid=4, weights=weights("test_vit3"))
        assert teacher.mean == (0.5, 0.5, 0.5)  # not ImageNet's
        pixels = torch.randint(0, 256, (64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        image = Image.fromarray(pixels.numpy())
        image.save(tmp_path / "a.png")
        views = TwoViews(
            px=32,
            teacher_px=64,
            **STUDENT,
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

    def test_features_are_normalised_over_their_width(self, weights):
        teacher = TimmTeacher("test_vit", grid=4, weights=weights("test_vit"))
        images = torch.randn(2, 3, 64, 64)
        target = teacher(images)
        torch.testing.assert_close(target.mean(-1), torch.zeros(2, 16), atol=1e-5, rtol=0)
        expected = F.layer_norm(teacher.features(images), (teacher.dim,))
        torch.testing.assert_close(target, expected)

    def test_standardising_leaves_out_what_all_patches_share(self, weights):
        plain = TimmTeacher("test_resnet", grid=4, weights=weights("test_resnet"))
        student = nano(img_size=64)
        teacher = create_teacher(
            "timm:test_resnet", student=student, px=64, **STUDENT, weights=weights("test_resnet"), standardise=True
        )
        images = torch.randn(3, 3, 128, 128)
        features = plain.features(images)
        spread = features.flatten(0, 1)
        expected = F.layer_norm((features - spread.mean(0)) / (spread.std(0) + 1e-6), (teacher.dim,))
        torch.testing.assert_close(teacher(images), expected)
        with torch.no_grad():
            shifted = copy.copy(teacher)
            shifted.features = lambda x: features + torch.arange(teacher.dim)  # the same for all patches
            assert F.cosine_similarity(shifted(images), expected, dim=-1).min() > 0.999
            assert F.cosine_similarity(shifted(images), plain(images), dim=-1).max() < 0.9

    def test_one_patch_alone_cannot_be_standardised(self):
        teacher = Teacher()
        teacher.standardise = True
        teacher.features = lambda x: x
        assert teacher(torch.randn(1, 1, 8)).isfinite().all()

    @pytest.mark.parametrize("name", ["test_resnet", "ema"])
    def test_a_batch_in_chunks_is_the_same(self, name, weights):
        teacher = student_and_teacher()[1] if name == "ema" else TimmTeacher(name, grid=4, weights=weights(name))
        images = torch.randn(9, 3, teacher.px, teacher.px)  # one more than a chunk
        if name == "ema":
            teacher.features = teacher.trunk.forward_features  # what it subtracts depends on the batch
        together = teacher.features(images).flatten(1)
        one_by_one = torch.cat([teacher.features(image[None]) for image in images]).flatten(1)
        torch.testing.assert_close(together, one_by_one, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("name", ["test_resnet", "ema"])
    def test_no_graph_and_no_training_mode(self, name, weights):
        if name == "ema":
            _, teacher = student_and_teacher()
        else:
            teacher = TimmTeacher(name, grid=4, weights=weights(name))
        teacher.train()
        assert not any(module.training for module in teacher.modules())
        assert not any(parameter.requires_grad for parameter in teacher.parameters())
        images = torch.randn(2, 3, teacher.px, teacher.px, requires_grad=True)
        target = teacher(images)
        assert (target.requires_grad, target.grad_fn, target.dtype) == (False, None, torch.float32)
        assert target.shape == (2, 16, teacher.dim)
        before = {key: value.clone() for key, value in teacher.state_dict().items()}
        teacher(images)  # running statistics stay as they are
        assert all(torch.equal(value, before[key]) for key, value in teacher.state_dict().items())


class TestMovingAverage:
    """The teacher that is the student's past."""

    def test_it_starts_as_the_student_without_its_pyramid(self):
        student, teacher = student_and_teacher()
        own = dict(student.named_parameters())
        copied = dict(teacher.trunk.named_parameters())
        assert copied
        assert all(torch.equal(value, own[name]) for name, value in copied.items())
        assert not any("pyramid" in name for name in copied)
        assert student.pyramid is not None
        assert not {id(p) for p in own.values()} & {id(p) for p in copied.values()}

    @pytest.mark.parametrize(("progress", "momentum"), [(0.0, 0.5), (0.5, 0.7), (1.0, 0.9)])
    def test_it_follows_with_a_momentum_that_rises(self, progress, momentum):
        student, teacher = student_and_teacher(momentum=(0.5, 0.9))
        with torch.no_grad():
            student.pos_embed.zero_()
            teacher.trunk.pos_embed.fill_(1)
        teacher.follow(Student(student), progress)
        torch.testing.assert_close(teacher.trunk.pos_embed, torch.full((1, 16, 192), momentum))

    def test_it_follows_in_every_parameter(self):
        student, teacher = student_and_teacher(momentum=(0.5, 0.5))
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(1)
        before = {name: value.clone() for name, value in teacher.trunk.named_parameters()}
        teacher.follow(Student(student), 1.0)
        for name, value in teacher.trunk.named_parameters():
            torch.testing.assert_close(value, before[name] + 0.5, msg=name)

    def test_it_begins_as_the_student_is_then(self):
        student, teacher = student_and_teacher()
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.mul_(2)
        teacher.begin(Student(student))
        own = dict(student.named_parameters())
        assert all(torch.equal(value, own[name]) for name, value in teacher.trunk.named_parameters())

    def test_a_fixed_teacher_stays(self, weights):
        teacher = TimmTeacher("test_vit", grid=4, weights=weights("test_vit"))
        before = copy.deepcopy(teacher.state_dict())
        teacher.begin(Student(nano()))
        teacher.follow(Student(nano()), 1.0)
        assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())

    def test_targets_are_the_mean_of_the_last_blocks(self):
        student, teacher = student_and_teacher()
        images = randn(2, 3, 64, 64)
        outputs = []
        for block in student.stages[2].blocks[-3:]:
            block.register_forward_hook(lambda module, inputs, output: outputs.append(F.layer_norm(output, (192,))))
        with torch.no_grad():
            student.encode(images)
        expected = sum(outputs) / 3
        torch.testing.assert_close(teacher.features(images), expected - expected.mean(0))
        assert teacher.dim == 192

    def test_a_student_cannot_score_with_the_place_alone(self):
        _, teacher = student_and_teacher()
        features = teacher.features(randn(4, 3, 64, 64))
        torch.testing.assert_close(features.mean(0), torch.zeros(16, 192), atol=1e-5, rtol=0)
        assert teacher.features(randn(1, 3, 64, 64)).abs().sum() > 0  # one image has no others to compare with

    @pytest.mark.parametrize("key", ["weights", "teacher_px"])
    def test_it_has_no_weights_and_no_size_of_its_own(self, key, tmp_path):
        values = {"weights": tmp_path / "a.pth", "teacher_px": 32}
        with pytest.raises(InputError, match="it has no weights and no input size of its own") as caught:
            student_and_teacher(**{key: values[key]})
        assert caught.value.where == {"weights": "teacher.weights", "teacher_px": "teacher.px"}[key]
        assert caught.value.fix.endswith("or choose teacher=timm:NAME")
        assert isinstance(student_and_teacher(teacher_px=64)[1], EmaTeacher)


class TestWeights:
    """From a file into the encoder."""

    def test_by_name_without_the_classifier(self, weights):
        encoder = timm.create_model("test_resnet", num_classes=0)
        load_encoder_weights(encoder, weights("test_resnet"))
        stored = torch.load(weights("test_resnet"), weights_only=True)
        assert all(torch.equal(value, stored[name]) for name, value in encoder.state_dict().items())

    @pytest.mark.parametrize("nesting", ["state_dict", "model"])
    def test_nested(self, nesting, weights, tmp_path):
        torch.save({nesting: torch.load(weights("test_vit"), weights_only=True), "epoch": 3}, tmp_path / "a.pth")
        load_encoder_weights(timm.create_model("test_vit", num_classes=0), tmp_path / "a.pth")

    def test_in_their_order_under_other_names(self, weights, tmp_path, caplog):
        stored = torch.load(weights("test_resnet"), weights_only=True)
        other = {f"net.{place}.{name.rpartition('.')[2]}": value for place, (name, value) in enumerate(stored.items())}
        torch.save({name: value for name, value in other.items() if "num_batches" not in name}, tmp_path / "a.pth")
        encoder = timm.create_model("test_resnet", num_classes=0)
        with caplog.at_level("INFO", "fastitpn"):
            load_encoder_weights(encoder, tmp_path / "a.pth")
        own = {name: value for name, value in encoder.state_dict().items() if "num_batches" not in name}
        assert all(torch.equal(value, stored[name]) for name, value in own.items())
        assert "paired by their order" in caplog.text

    def test_of_the_demos_package(self):
        """Real weights under other names."""
        from fastitpn.commands.demo import TEACHER, teacher_file

        teacher = TimmTeacher(TEACHER, grid=2, weights=teacher_file())
        stored, encoder = torch.load(teacher_file(), weights_only=True), teacher.encoder
        assert torch.equal(encoder.conv_stem.weight, stored["_conv_stem.weight"])
        assert torch.equal(encoder.blocks[-1][-1].bn3.running_var, stored["_blocks.15._bn2.running_var"])
        assert torch.equal(encoder.bn2.running_var, stored["_bn1.running_var"])
        assert teacher.mean == teacher.std == (0.5, 0.5, 0.5)

    @pytest.mark.parametrize("change", ["another order in a norm", "too many", "too few", "sorted"])
    def test_an_order_that_cannot_be_trusted_is_refused(self, change, weights, tmp_path):
        stored = torch.load(weights("test_resnet"), weights_only=True)
        names = list(stored)
        if change == "another order in a norm":
            first = names.index("bn1.weight")
            names[first : first + 2] = ["bn1.bias", "bn1.weight"]
        other = {f"net.{name}": stored[name].contiguous() for name in names}
        if change == "too many":  # a deeper network begins with the same shapes
            other |= {f"net.more.{place}.weight": torch.zeros(3) for place in range(4)}
        if change == "sorted":  # by name: here in the right order, but only by chance
            other = {f"{place:03}.{name}": value for place, (name, value) in enumerate(other.items())}
        if change == "too few":
            del other["net.layer4.0.conv1.weight"]
        path = tmp_path / ("a.safetensors" if change == "sorted" else "a.pth")
        save_file(other, path) if change == "sorted" else torch.save(other, path)
        with pytest.raises(InputError, match="the teacher's weights do not fit") as caught:
            load_encoder_weights(timm.create_model("test_resnet", num_classes=0), path)
        assert caught.value.where == path
        assert "the first conv1.0.weight of" in caught.value.expected or "the first conv1" in caught.value.expected
        assert "teacher.weights=FILE" in caught.value.fix

    def test_of_another_width(self, weights, tmp_path):
        stored = torch.load(weights("test_vit"), weights_only=True)
        stored["norm.weight"] = torch.ones(7)
        torch.save(stored, tmp_path / "a.pth")
        with pytest.raises(InputError, match="1 of the teacher's tensors have another shape") as caught:
            load_encoder_weights(timm.create_model("test_vit", num_classes=0), tmp_path / "a.pth")
        assert caught.value.expected.startswith("norm.weight of [64], found [7]")

    def test_a_file_that_is_missing_damaged_or_wants_to_run_code(self, tmp_path):
        encoder = timm.create_model("test_vit", num_classes=0)
        with pytest.raises(InputError, match="there is no such file of the teacher's weights") as caught:
            load_encoder_weights(encoder, tmp_path / "a.pth")
        assert (caught.value.where, caught.value.fix) == (tmp_path / "a.pth", "teacher.weights=FILE")
        (tmp_path / "b.pth").write_text("file,class\n")
        with pytest.raises(InputError, match="the file is damaged or no PyTorch file"):
            load_encoder_weights(encoder, tmp_path / "b.pth")
        torch.save({"weight": random.Random}, tmp_path / "c.pth")
        with pytest.raises(InputError, match=r"refused to load: the file wants to call 'random\.Random'"):
            load_encoder_weights(encoder, tmp_path / "c.pth")


class TestName:
    """Which teacher is meant."""

    @pytest.mark.parametrize(
        ("name", "what", "fix"),
        [
            ("timm:resnet81", "timm has no model 'resnet81'", "teacher=timm:resnet18"),
            ("timm:vit_bse_patch16_clip_224.openai", "timm has no model", "teacher=timm:vit_base_patch16_clip_224"),
            ("timm:!", "timm has no model '!'", "teacher=ema"),
            ("resnet18", "unknown teacher 'resnet18'", "teacher=timm:resnet18"),
            ("eam", "unknown teacher 'eam'", "teacher=ema"),
        ],
    )
    def test_an_unknown_one_names_the_nearest(self, name, what, fix):
        with pytest.raises(InputError, match=what) as caught:
            create_teacher(name, student=nano(), px=64, **STUDENT)
        assert (caught.value.where, caught.value.fix) == ("teacher", fix)
        assert caught.value.expected

    def test_weights_that_cannot_be_fetched(self, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        with pytest.raises(InputError, match="the teacher's weights cannot be fetched") as caught:
            TimmTeacher("test_vit2", grid=4)
        assert caught.value.where == "teacher=timm:test_vit2"
        assert caught.value.fix == "teacher.weights=FILE"

    def test_a_model_without_weights_of_its_own(self):
        with pytest.raises(InputError, match="the teacher's weights cannot be fetched: No pretrained weights exist"):
            TimmTeacher("fastitpn_nano", grid=4)
