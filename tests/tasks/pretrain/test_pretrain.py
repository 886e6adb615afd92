"""Pre-training as a whole, through the public function."""

from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_data_config
from tiny_runs import TRAINING, assert_same, content, figures, files

import fastitpn
from fastitpn.config import build, parse
from fastitpn.data.images.folders import unlabelled
from fastitpn.errors import InputError
from fastitpn.pretraining.teachers.base import Teacher
from fastitpn.pretraining.teachers.ema import EmaKeys
from fastitpn.pretraining.teachers.ema_teacher import EmaTeacher
from fastitpn.runs.run import Run
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.pretrain import build_dataset, build_task
from fastitpn.tasks.pretrain.task import PretrainTask


def config(scenes, **keys) -> PretrainConfig:
    return build(PretrainConfig, {"data": scenes.unlabelled, **TRAINING, **keys})


def pretrain(scenes, out, **keys) -> Run:
    return fastitpn.pretrain(data=scenes.unlabelled, out=out, **{**TRAINING, **keys})


@pytest.fixture(scope="module")
def resnet(tmp_path_factory) -> dict[str, object]:
    """A CNN as a teacher, from a file in which another library gave its layers other names."""
    torch.manual_seed(0)
    tensors = timm.create_model("resnet18").state_dict()
    path = tmp_path_factory.mktemp("teacher") / "resnet.pth"
    torch.save(
        {"state_dict": {f"net.{name.replace('layer', 'block')}": value for name, value in tensors.items()}}, path
    )
    return {"name": "timm:resnet18", "weights": path}


@pytest.fixture(scope="module")
def vit(tmp_path_factory) -> dict[str, object]:
    """A small ViT as a teacher."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "vit.pth"
    torch.save(timm.create_model("test_vit").state_dict(), path)
    return {"name": "timm:test_vit", "weights": path}


def test_a_run_leaves_all_that_is_promised(scenes, pretrained_run):
    run = pretrained_run
    assert (run.verb, run.complete) == ("pretrain", True)
    assert files(run.directory) == [
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "config.yaml",
        "data.json.gz",
        "log.txt",
        "metrics.jsonl",
        "pictures/step-00000001.png",
        "pictures/step-00000003.png",
        "report.html",
        "result.json",
        "run.json",
        "sums.json",
    ]
    assert [(row["step"], row["split"]) for row in run.history] == [(1, "train"), (2, "train"), (3, "train")]
    assert run.metrics["train_loss"] == run.history[-1]["loss"]
    used = parse(PretrainConfig, [f"recipe={run.directory / 'config.yaml'}"])
    assert used == config(scenes, out=run.directory, precision="32-true")
    assert "step 3" in (run.directory / "log.txt").read_text()


def test_the_checkpoint_says_what_is_needed_to_use_it(pretrained_run):
    saved = content(pretrained_run)
    assert (saved["task"], saved["px"], saved["step"], saved["classes"]) == ("pretrain", 32, 3, None)
    assert saved["teacher"] == {"name": "ema", "px": 32}
    model = fastitpn.create_pretraining_model(saved["model"]["name"], **saved["model"]["arguments"])
    assert fastitpn.load_weights(model, pretrained_run.directory).ok
    assert_same(model.state_dict(), saved["weights"])


def test_the_report_shows_what_student_and_teacher_see(pretrained_run):
    page = (pretrained_run.directory / "report.html").read_text()
    assert "What student and teacher see" in page
    assert "The pyramid while it learns" in page
    assert page.count("after step ") >= 2
    assert "data:image/" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")
    assert "https://" not in page


@pytest.mark.parametrize("kind", ["ema", "resnet", "vit"])
def test_the_loss_falls(scenes, tmp_path, request, kind):
    teacher = "ema" if kind == "ema" else request.getfixturevalue(kind)
    keys = {"loss_on": "all", "lr": 2e-3, "drop_path": 0, "crop_scale": (1, 1), "hflip": 0, "pictures": False}
    run = pretrain(scenes, tmp_path / "run", teacher=teacher, steps=25, batch=12, **keys)
    losses = [row["loss"] for row in run.history]
    assert sum(losses[-3:]) / 3 < sum(losses[:3]) / 3 - 0.1
    assert content(run)["teacher"]["name"] == (teacher if kind == "ema" else teacher["name"])


PER_LEVEL = {
    "objective": "per_level",
    "level_weights": (0.5, 1, 2),
    "auxiliary": 0.5,
    "predictor": "mlp",
    "mask": {"kind": "random", "ratio": 0.5},
    "loss": "smooth_l1",
    "color_jitter": 0.4,
    "grad_checkpointing": True,
    "tensorboard": True,
}
"""Everything that is not published."""


WITH_GRAM = {**PER_LEVEL, "gram": {"weight": 1, "every": 2}}


@pytest.mark.parametrize("extra", [{}, WITH_GRAM], ids=["published", "per_level"])
def test_an_interrupted_run_goes_on_to_the_same_bits(scenes, tmp_path, monkeypatch, extra):
    teacher = {"name": "ema", "momentum_start": 0.5, "momentum": 0.9}
    keys = {"steps": 5, "checkpoint_every": 2, "teacher": teacher, **extra}
    if extra:
        keys |= {"probe": {"data": scenes.train, "every_epochs": 0.3, "neighbours": 3}}
    unbroken = pretrain(scenes, tmp_path / "unbroken", **keys)
    done: list[float] = []
    after_step = PretrainTask.after_step

    def follow_until_the_cut(task: PretrainTask, progress: float) -> None:
        after_step(task, progress)
        done.append(progress)
        if len(done) == 4:
            raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        patch.setattr(PretrainTask, "after_step", follow_until_the_cut)
        with pytest.raises(OSError, match="the machine is gone"):
            pretrain(scenes, tmp_path / "cut", **keys)
    cut = Run(tmp_path / "cut")
    assert not cut.complete
    assert content(cut)["step"] == 2
    assert (cut.directory / "report.html").exists() == bool(extra)  # it is there from the first probe on

    cut = pretrain(scenes, tmp_path / "cut", **keys)
    assert cut.complete
    plain = pretrain(scenes, tmp_path / "plain", **{**keys, "probe": None, "pictures": False, "log_every": 3})
    assert_same(content(plain)["weights"], content(cut)["weights"])
    for part in ("weights", "training"):
        assert_same(content(cut)[part], content(unbroken)[part])
    assert content(cut)["training"]["task"]["teacher"]
    assert figures(cut) == figures(unbroken)


@pytest.mark.parametrize("teacher", ["ema", "resnet"])
def test_every_level_learns_for_itself(scenes, tmp_path, request, teacher):
    if teacher == "resnet":
        teacher = {**request.getfixturevalue("resnet"), "upsample": 4, "standardise": True}
    keys = {"lr": 2e-3, "drop_path": 0, "crop_scale": (1, 1), "hflip": 0, "pictures": False}
    run = pretrain(scenes, tmp_path / "run", teacher=teacher, steps=12, batch=6, **{**PER_LEVEL, **keys})
    names = {f"loss_{name}" for name in ("stride4", "stride8", "stride16", "auxiliary")}
    assert names <= set(run.history[0])
    for row in run.history:
        parts = 0.5 * row["loss_stride4"] + row["loss_stride8"] + 2 * row["loss_stride16"] + 0.5 * row["loss_auxiliary"]
        assert row["loss"] == pytest.approx(parts, rel=1e-4)
    for name in names:
        assert run.history[-1][name] < run.history[0][name], name
    assert ("target_rank" in run.history[0]) == (teacher == "ema")
    saved = content(run)
    model = fastitpn.create_pretraining_model(saved["model"]["name"], **saved["model"]["arguments"])
    assert fastitpn.load_weights(model, run.directory).ok
    assert "stride4 " in (run.directory / "log.txt").read_text()


def test_without_a_pyramid_for_comparison(scenes, tmp_path):
    run = pretrain(scenes, tmp_path / "run", objective="trunk")
    assert run.complete
    assert not any("pyramid" in name for name in content(run)["weights"])
    tuned = fastitpn.finetune(
        "classify", data=scenes.train, val=scenes.val, weights=run.directory, out=tmp_path / "tuned", **TRAINING
    )
    assert tuned.complete


def test_an_auxiliary_prediction_and_an_acceleration_exclude_each_other(scenes):
    with pytest.raises(InputError, match=r"auxiliary=1 with acceleration=fast"):
        build_task(config(scenes, auxiliary=1, acceleration="fast", px=64))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"level_weights": (1, 1, 2)}, "level_weights: expected together with objective=per_level, got merged"),
        ({"objective": "per_level", "level_weights": (0, 0, 0)}, "level_weights: expected a weight above 0"),
        ({"objective": "trunk", "norm": "trunk_and_end"}, "norm: expected end with objective=trunk"),
        ({"mask": {"ratio": 0}}, "mask.ratio: expected above 0 with loss_on=masked"),
    ],
)
def test_keys_that_do_not_go_together(scenes, keys, said):
    with pytest.raises(InputError, match=said):
        config(scenes, **keys)


def test_random_masks_hide_as_many_in_every_image(scenes):
    settings = config(scenes, px=128, mask={"kind": "random", "ratio": 0.4})
    dataset = build_dataset(settings, unlabelled(scenes.unlabelled), teacher_like(settings))
    assert {int(dataset[0, index]["masked"].sum()) for index in range(8)} == {26}


def test_distillation_without_masks(scenes, tmp_path):
    run = pretrain(scenes, tmp_path / "run", mask={"ratio": 0}, loss_on="all", steps=2, pictures=True)
    assert run.complete
    settings = config(scenes, mask={"ratio": 0}, loss_on="all")
    assert not build_dataset(settings, unlabelled(scenes.unlabelled), teacher_like(settings))[0, 0]["masked"].any()


def test_the_same_seed_gives_the_same_run_whatever_the_workers(scenes, tmp_path):
    run = pretrain(scenes, tmp_path / "one", seed=3, pictures=False)
    again = pretrain(scenes, tmp_path / "two", seed=3, pictures=False, workers=1)
    assert_same(content(run)["training"], content(again)["training"])
    other = pretrain(scenes, tmp_path / "three", seed=4, pictures=False)
    weights = [content(r)["weights"]["predictor.weight"] for r in (run, other)]
    assert not torch.equal(*weights)


def test_a_complete_run_is_not_trained_again(scenes, pretrained_run, monkeypatch):
    monkeypatch.setattr("fastitpn.tasks.pretrain.pretrain.fit", None)
    before = (pretrained_run.directory / "checkpoints" / "last.ckpt").read_bytes()
    pretrain(scenes, pretrained_run.directory)
    assert (pretrained_run.directory / "checkpoints" / "last.ckpt").read_bytes() == before


def test_a_list_of_images_serves_as_data(scenes, tmp_path):
    images = sorted(scenes.unlabelled.iterdir())[:3]
    (tmp_path / "images.txt").write_text("".join(f"{image}\n" for image in images))
    run = fastitpn.pretrain(data=tmp_path / "images.txt", out=tmp_path / "run", **TRAINING, pictures=False)
    assert content(run)["training"]["data"]["samples"] == 3


class TestStart:
    """What a run starts from."""

    def test_own_weights(self, scenes, pretrained_run, capsys):
        task = build_task(config(scenes, weights=pretrained_run.directory))
        assert_same(task.trained_model.state_dict(), content(pretrained_run)["weights"])
        assert "(100.0% of its parameters)" in capsys.readouterr().out

    def test_a_moving_average_starts_from_the_weights_that_were_given(self, scenes, pretrained_run):
        task = build_task(config(scenes, weights=pretrained_run.directory))
        student = dict(task.trained_model.backbone.named_parameters())
        assert_same(
            dict(task.teacher.trunk.named_parameters()),
            {name: student[name] for name, _ in task.teacher.trunk.named_parameters()},
        )
        assert not any(parameter.requires_grad for parameter in task.teacher.parameters())

    def test_published_weights_nested_and_in_half_precision(self, scenes, tmp_path, capsys):
        torch.manual_seed(5)
        model = fastitpn.create_pretraining_model("fastitpn_nano", teacher_dim=192, img_size=64)
        published = {name: value.half() for name, value in fastitpn.to_official_names(model.state_dict()).items()}
        torch.save({"module": published}, tmp_path / "published.pt")
        task = build_task(config(scenes, weights=tmp_path / "published.pt"))
        ours, theirs = task.trained_model.state_dict(), model.state_dict()
        assert ours.pop("backbone.pos_embed").shape == (1, 4, 192)
        theirs.pop("backbone.pos_embed")
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
        assert "pos_embed resized 4x4 -> 2x2 (bicubic)" in capsys.readouterr().out

    def test_nothing_but_the_seed(self, scenes):
        torch.manual_seed(1)
        one = build_task(config(scenes, seed=7)).trained_model.state_dict()
        torch.manual_seed(2)
        assert_same(build_task(config(scenes, seed=7)).trained_model.state_dict(), one)
        other = build_task(config(scenes, seed=8)).trained_model.state_dict()
        assert not torch.equal(one["mask_token"], other["mask_token"])


def test_the_teacher_gets_what_its_configuration_says(scenes, vit):
    task = build_task(config(scenes, teacher={**vit, "standardise": True}))
    assert task.teacher.standardise
    assert task.teacher.px == 32
    ema = build_task(config(scenes, teacher=EmaKeys(momentum=0.9, momentum_start=0.1))).teacher
    assert isinstance(ema, EmaTeacher)
    assert ema.momentum == (0.1, 0.9)


class TestSamples:
    """What reaches student and teacher."""

    @pytest.fixture
    def photo(self, tmp_path) -> Path:
        """One image in a folder, of the size that the teacher sees."""
        pixels = torch.randint(0, 256, (64, 64, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        (tmp_path / "photo").mkdir()
        Image.fromarray(pixels.numpy()).save(tmp_path / "photo" / "a.png")
        return tmp_path / "photo"

    def test_the_teacher_sees_the_image_normalised_once_as_timm_does(self, photo, resnet):
        whole = {"crop_scale": (1, 1), "hflip": 0, "px": 32, "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)}
        settings = build(PretrainConfig, {**TRAINING, **whole, "data": photo, "teacher": resnet})
        task = build_task(settings)
        assert task.teacher.px == 64  # stride 32 on the student's grid of 2x2
        sample = build_dataset(settings, unlabelled(photo), task.teacher)[0, 0]
        theirs = create_transform(**resolve_data_config({"img_size": 64, "crop_pct": 1.0}, model=task.teacher.encoder))
        image = Image.open(photo / "a.png")
        torch.testing.assert_close(sample["teacher_image"], theirs(image), atol=1e-5, rtol=0)

        seen: list[torch.Tensor] = []
        task.teacher.encoder.conv1.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        task({name: value[None] for name, value in sample.items() if name != "index"})
        assert torch.equal(seen[0][0], sample["teacher_image"])

    def test_the_student_sees_it_in_its_own_size_and_normalisation(self, photo):
        whole = {"crop_scale": (1, 1), "hflip": 0, "px": 64, "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)}
        settings = build(PretrainConfig, {**TRAINING, **whole, "data": photo})
        sample = build_dataset(settings, unlabelled(photo), build_task(settings).teacher)[0, 0]
        pixels = torch.randint(0, 256, (64, 64, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        mean, std = torch.tensor(settings.mean), torch.tensor(settings.std)
        expected = ((pixels / 255 - mean) / std).permute(2, 0, 1)
        torch.testing.assert_close(sample["image"], expected, atol=1e-5, rtol=0)
        assert torch.equal(sample["teacher_image"], sample["image"])  # the moving average is fed as the student is

    def test_masks_are_those_that_were_asked_for(self, photo):
        mask = {"ratio": 0.25, "exact": True}
        settings = build(PretrainConfig, {**TRAINING, "data": photo, "px": 128, "mask": mask})
        dataset = build_dataset(settings, unlabelled(photo), teacher_like(settings))
        counts = {int(dataset[epoch, 0]["masked"].sum()) for epoch in range(8)}
        assert counts == {16}  # a quarter of 8x8
        assert len({tuple(dataset[epoch, 0]["masked"].tolist()) for epoch in range(8)}) > 4


def teacher_like(settings: PretrainConfig) -> Teacher:
    """As much of a teacher as the data set asks for."""
    teacher = Teacher()
    teacher.px, teacher.mean, teacher.std = settings.px, settings.mean, settings.std
    return teacher


def test_a_mix_of_sizes_goes_on_to_the_same_bits(scenes, vit, tmp_path, monkeypatch):
    """The teacher sees what fits the largest size, and its targets are resampled to the student's grid."""
    keys = {"px": (48, 32), "steps": 4, "checkpoint_every": 2, "teacher": vit, "crop_aspect": (1, 1), "pictures": False}
    seen: list[int] = []
    forward = PretrainTask.forward

    def note(task: PretrainTask, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        seen.append(batch["image"].shape[-1])
        if len(seen) == 4:
            raise OSError("the machine is gone")
        assert batch["masked"].shape[1] == (seen[-1] // 16) ** 2
        return forward(task, batch)

    with monkeypatch.context() as patch:
        patch.setattr(PretrainTask, "forward", note)
        with pytest.raises(OSError, match="the machine is gone"):
            pretrain(scenes, tmp_path / "cut", **keys)
        unbroken_sizes, seen[:] = list(seen), [0] * 9
        unbroken = pretrain(scenes, tmp_path / "unbroken", **keys)
        assert seen[9:12] == unbroken_sizes[:3]
        assert set(seen[9:]) == {32, 48}
    cut = pretrain(scenes, tmp_path / "cut", **keys)
    assert_same(content(cut)["training"], content(unbroken)["training"])
    assert content(cut)["px"] == 48


@pytest.mark.parametrize(
    ("keys", "text"),
    [
        ({"px": (48, 40)}, "px: expected a whole number of at least 32, a multiple of 16"),
        ({"crop_aspect": (2, 1)}, "crop_aspect: expected smallest,largest, got 2.0,1.0"),
        ({"teacher": "pixel", "gram": 1}, "gram.weight: expected 0 with teacher=pixel, got 1"),
    ],
    ids=["px", "crop_aspect", "gram"],
)
def test_what_does_not_go_together_is_said_at_once(scenes, keys, text):
    with pytest.raises(InputError) as error:
        config(scenes, **keys)
    assert text in str(error.value)
