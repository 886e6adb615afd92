"""Fine-tuning as a whole, through the public function."""

import csv
import shutil

import pytest
import torch
from tiny_runs import FINETUNING, assert_same, content, figures, files

import fastitpn
from fastitpn.config import build, parse
from fastitpn.data.classification.labelled import LabelledImages, labelled
from fastitpn.errors import InputError
from fastitpn.models.layers.position import resize_position_table
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.runs.run import RESULT, Run
from fastitpn.tasks import finetuning
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.classify.metrics import TOP1
from fastitpn.tasks.classify.spec import SPEC
from fastitpn.tasks.classify.task import ClassifyTask
from fastitpn.tasks.spec import Split

CLASSES = ["building", "mammal", "produce"]


def config(scenes, **keys) -> ClassifyConfig:
    return build(ClassifyConfig, {"data": scenes.train, **FINETUNING, **keys})


def finetune(scenes, out, **keys) -> Run:
    return fastitpn.finetune("classify", **{"data": scenes.train, "val": scenes.val, "out": out, **FINETUNING, **keys})


def build_task(config: ClassifyConfig, classes: list[str]) -> ClassifyTask:
    """The network of a configuration, for images of these classes."""
    images = LabelledImages(paths=[], labels=[], classes=classes)
    return SPEC.build(config, Split(train=images, val=images, num_classes=len(classes)))


def trunk(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What pre-training and classification share."""
    tensors = {name.removeprefix("backbone."): value for name, value in state.items()}
    return {name: value for name, value in tensors.items() if name.startswith(("patch_embed", "stages"))}


class TestRun:
    """What a run does and leaves."""

    def test_it_leaves_all_that_is_promised(self, scenes, classifier_run, pretrained_run):
        run = classifier_run
        assert (run.verb, run.complete) == ("finetune classify", True)
        assert {"checkpoints/best.ckpt", "checkpoints/last.ckpt", "report.html", "log.txt"} <= set(files(run.directory))
        used = parse(ClassifyConfig, [f"recipe={run.directory / 'config.yaml'}"])
        keys = {"val": scenes.val, "weights": pretrained_run.directory, "precision": "32-true"}
        assert used == config(scenes, out=run.directory, **keys)
        assert [row["step"] for row in run.history if row["split"] == "train"] == [1, 2, 3]
        assert [row["step"] for row in run.history if row["split"] == "val"] == [3]  # 12 images are three steps
        assert set(run.metrics) == {"train_loss", "loss", "top1", "best_top1", "best_step"}

    @pytest.mark.parametrize(
        ("keys", "text"),
        [
            ({"patience": 3}, "patience=3, but the only validation of the run is at its end"),
            ({"folds": 50, "val": None}, "folds=50, but class building has 4 images"),
        ],
        ids=["patience", "folds"],
    )
    def test_what_cannot_be_done_is_said_before_a_folder_is_made(self, scenes, tmp_path, keys, text):
        with pytest.raises(InputError, match=text):
            finetune(scenes, tmp_path / "run", **keys)
        assert not (tmp_path / "run").exists()

    def test_its_checkpoint_is_enough_to_use_it(self, classifier_run):
        saved = load_checkpoint(classifier_run.best_checkpoint)
        assert (saved["task"], saved["classes"], saved["px"]) == ("classify", CLASSES, 32)
        assert saved["model"] == {"name": "fastitpn_nano", "arguments": {"img_size": 32, "num_classes": 3}}
        assert saved["normalisation"] == {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
        assert "training" not in saved
        model = fastitpn.create_model("fastitpn_nano", **saved["model"]["arguments"])
        model.load_state_dict(saved["weights"])

    def test_evaluate_predict_and_load_agree_with_it(self, scenes, classifier_run, tmp_path):
        run = classifier_run
        evaluation = fastitpn.evaluate(run.directory, scenes.val, out=tmp_path / "evaluation", device="cpu")
        assert evaluation.metrics["top1"] == pytest.approx(run.metrics["best_top1"])
        assert evaluation.metrics["loss"] == pytest.approx(run.metrics["loss"], abs=1e-5)
        val = labelled(scenes.val, CLASSES)
        predictions = fastitpn.predict(run.directory, scenes.val, out=tmp_path / "predictions", device="cpu")
        loaded = fastitpn.load(run.best_checkpoint, device="cpu")(val.paths)
        assert [result.label for result in predictions] == [result.label for result in loaded]
        right = [result.label == CLASSES[label] for result, label in zip(loaded, val.labels, strict=True)]
        assert 100 * sum(right) / len(right) == pytest.approx(run.metrics["best_top1"])

    def test_the_report_has_curves_and_the_confusion_matrix(self, classifier_run):
        page = (classifier_run.directory / "report.html").read_text()
        for part in ("Confusion matrix", "Configuration", "<svg", *CLASSES):
            assert part in page

    def test_it_learns(self, scenes, tmp_path):
        """Its own training images by heart."""
        plain = {"mixup": 0, "cutmix": 0, "random_erasing": 0, "rand_augment": None, "label_smoothing": 0, "hflip": 0}
        whole = {"crop_scale": (1, 1), "drop_path": 0, "ema": None, "layer_decay": 1}
        run = finetune(
            scenes,
            tmp_path / "run",
            val=scenes.train,
            steps=40,
            batch=12,
            eval_every_epochs=40,
            scratch=True,
            **plain,
            **whole,
        )
        assert run.metrics["top1"] > 90
        assert run.metrics["train_loss"] < 0.5

    def test_interrupted_it_goes_on_to_the_same_bits(self, scenes, pretrained_run, tmp_path, monkeypatch):
        keys = {"steps": 5, "checkpoint_every": 2, "weights": pretrained_run.directory, "ema": 0.9}
        unbroken = finetune(scenes, tmp_path / "unbroken", **keys)
        forward, done = ClassifyTask.forward, []

        def forward_until_the_cut(task, batch):
            done.append(1)
            if len(done) == 4:
                raise OSError("the machine is gone")
            return forward(task, batch)

        with monkeypatch.context() as patch:
            patch.setattr(ClassifyTask, "forward", forward_until_the_cut)
            with pytest.raises(OSError, match="the machine is gone"):
                finetune(scenes, tmp_path / "cut", **keys)
        assert not Run(tmp_path / "cut").complete
        cut = finetune(scenes, tmp_path / "cut", **keys)
        assert_same(content(cut)["training"], content(unbroken)["training"])
        assert_same(content(cut)["weights"], content(unbroken)["weights"])
        assert figures(cut) == figures(unbroken)
        assert cut.metrics == unbroken.metrics

    def test_the_same_seed_gives_the_same_run_whatever_the_workers(self, scenes, tmp_path):
        one = finetune(scenes, tmp_path / "one", scratch=True, seed=3)
        two = finetune(scenes, tmp_path / "two", scratch=True, seed=3, workers=1)
        assert_same(content(one)["training"], content(two)["training"])
        three = finetune(scenes, tmp_path / "three", scratch=True, seed=4)
        assert not torch.equal(content(one)["weights"]["head.weight"], content(three)["weights"]["head.weight"])

    def test_a_complete_run_is_not_trained_again(self, scenes, classifier_run, pretrained_run, monkeypatch):
        monkeypatch.setattr(finetuning, "fit", None)
        before = classifier_run.best_checkpoint.read_bytes()
        finetune(scenes, classifier_run.directory, weights=pretrained_run.directory)
        assert classifier_run.best_checkpoint.read_bytes() == before

    def test_the_engine_gets_the_recipes_numbers(self, scenes, tmp_path, monkeypatch):
        seen = {}
        monkeypatch.setattr(finetuning, "fit", lambda task, **keys: seen.update(keys))
        monkeypatch.setattr(finetuning, "write_run_report", lambda *arguments: None)
        keys = {"steps": None, "epochs": 2.5, "warmup_steps": None, "warmup_epochs": 0, "eval_every_epochs": 0.5}
        finetune(scenes, tmp_path / "run", layer_decay=0.7, ema=0.5, lr=2e-3, batch=2, accumulate=2, **keys)
        settings = seen["settings"]
        assert (settings.steps, settings.evaluate_every) == (8, 2)  # 12 images, 4 in a step
        assert (settings.layer_decay, settings.ema, settings.lr, settings.accumulate) == (0.7, 0.5, 2e-3, 2)
        assert settings.best_metric == TOP1


class TestData:
    """Folders, tables, and what is validated on."""

    @pytest.fixture
    def table(self, scenes, tmp_path):
        rows = [
            (f"images/{path.parent.name}-{path.name}", path.parent.name) for path in sorted(scenes.train.rglob("*.jpg"))
        ]
        (tmp_path / "images").mkdir()
        for path in scenes.train.rglob("*.jpg"):
            shutil.copy(path, tmp_path / "images" / f"{path.parent.name}-{path.name}")
        with open(tmp_path / "train.csv", "w", newline="") as file:
            csv.writer(file).writerows([("image", "label"), *rows])
        return tmp_path / "train.csv"

    def test_a_table_trains_to_the_same_bits_as_the_folder_it_lists(self, scenes, table, tmp_path):
        folder = finetune(scenes, tmp_path / "folder", scratch=True)
        listed = finetune(scenes, tmp_path / "table", scratch=True, data=table)
        assert_same(content(listed)["weights"], content(folder)["weights"])
        assert content(listed)["classes"] == CLASSES

    def test_without_val_a_part_of_each_class_is_held_out(self, scenes, tmp_path, monkeypatch):
        seen = []
        monkeypatch.setattr(finetuning, "fit", lambda task, run, **keys: (run.directory / RESULT).write_text("{}"))
        monkeypatch.setattr(finetuning, "write_run_report", lambda spec, run, config, val, *_, **keys: seen.append(val))
        finetune(scenes, tmp_path / "run", val=None, val_ratio=0.25, scratch=True)
        assert sorted(seen[0].labels) == [0, 1, 2]
        assert seen[0].classes == CLASSES

    def test_a_folder_with_train_and_val(self, scenes, tmp_path, monkeypatch):
        seen = []
        monkeypatch.setattr(finetuning, "fit", lambda task, run, **keys: (run.directory / RESULT).write_text("{}"))
        monkeypatch.setattr(finetuning, "write_run_report", lambda spec, run, config, val, *_, **keys: seen.append(val))
        finetune(scenes, tmp_path / "run", data=scenes.train.parent, val=None, scratch=True)
        assert seen[0].paths == labelled(scenes.val).paths

    def test_validation_images_of_an_unknown_class(self, scenes, tmp_path):
        shutil.copytree(scenes.val, tmp_path / "val")
        (tmp_path / "val" / "produce").rename(tmp_path / "val" / "zebra")
        with pytest.raises(InputError, match="unknown classes: zebra"):
            finetune(scenes, tmp_path / "run", val=tmp_path / "val", scratch=True)
        assert not (tmp_path / "run").exists()


class TestStart:
    """What a run starts from."""

    def test_a_pre_training(self, scenes, pretrained_run, capsys):
        model = build_task(config(scenes, weights=pretrained_run.directory), CLASSES).trained_model
        assert_same(trunk(model.state_dict()), trunk(content(pretrained_run)["weights"]))
        said = capsys.readouterr().out
        for part in (
            "17 not needed here: used in pre-training only",
            "44 not needed here: pyramid",
            "tensors of the trunk loaded; the head is new; ",
        ):
            assert part in said

    def test_model_and_size_are_those_of_the_weights(self, scenes, pretrained_run):
        task = build_task(config(scenes, weights=pretrained_run.directory, model=None, px=None), CLASSES)
        assert task.about.model["name"] == "fastitpn_nano"
        assert task.about.px == 32

    def test_without_weights_model_and_size_are_the_default(self, scenes, capsys):
        task = build_task(config(scenes, model=None, px=None, scratch=True), CLASSES)
        assert (task.about.model["name"], task.about.px) == ("fastitpn_tiny", 224)
        assert capsys.readouterr().out == ""

    def test_random_weights_are_warned_about(self, scenes, capsys):
        build_task(config(scenes), CLASSES)
        assert "no weights given: training starts from random ones (scratch=true says so" in capsys.readouterr().out

    def test_a_higher_resolution(self, scenes, pretrained_run, tmp_path, capsys):
        before = content(pretrained_run)["weights"]["backbone.pos_embed"]
        task = build_task(config(scenes, weights=pretrained_run.directory, px=64), CLASSES)
        expected = resize_position_table(before, 2, 2, 4, 4, "size")
        torch.testing.assert_close(task.trained_model.pos_embed.detach(), expected)
        assert "pos_embed resized 2x2 -> 4x4 (bicubic)" in capsys.readouterr().out
        run = finetune(scenes, tmp_path / "run", weights=pretrained_run.directory, px=64, steps=1)
        assert fastitpn.load(run.directory, device="cpu").px == 64

    @pytest.mark.parametrize(("nesting", "half"), [("module", True), ("model", False), (None, False)])
    def test_a_published_file(self, scenes, tmp_path, capsys, nesting, half):
        torch.manual_seed(9)
        model = fastitpn.create_pretraining_model("fastitpn_nano", teacher_dim=48, img_size=64)
        tensors = fastitpn.to_official_names(model.state_dict())
        tensors = {name: value.half() if half else value for name, value in tensors.items()}
        torch.save(tensors if nesting is None else {nesting: tensors, "epoch": 1599}, tmp_path / "published.pt")
        start = build_task(config(scenes, weights=tmp_path / "published.pt", px=None, model=None), CLASSES)
        assert start.about.px == 64
        expected = trunk(model.state_dict())
        torch.testing.assert_close(trunk(start.trained_model.state_dict()), expected, atol=1e-3, rtol=1e-3)
        assert "not needed here: used in pre-training only" in capsys.readouterr().out

    def test_another_label_space_first(self, scenes, pretrained_run, tmp_path, capsys):
        """As ImageNet-21K before 1K: all but the head is taken over."""
        shutil.copytree(scenes.train / "mammal", tmp_path / "two" / "alive")
        shutil.copytree(scenes.train / "building", tmp_path / "two" / "dead")
        first = finetune(scenes, tmp_path / "first", data=tmp_path / "two", val=None, weights=pretrained_run.directory)
        capsys.readouterr()
        task = build_task(config(scenes, weights=first.directory), CLASSES)
        said = capsys.readouterr().out
        assert "2 not needed here: head of 2 classes" in said
        assert "the head is new" in said
        ours, theirs = task.trained_model.state_dict(), load_checkpoint(first.best_checkpoint)["weights"]
        assert ours.pop("head.weight").shape == (3, 192)
        assert (ours.pop("head.bias").shape, theirs.pop("head.bias").shape) == ((3,), (2,))
        theirs.pop("head.weight")
        assert_same(ours, theirs)
        run = finetune(scenes, tmp_path / "second", weights=first.directory)
        assert load_checkpoint(run.best_checkpoint)["classes"] == CLASSES

    def test_as_many_but_other_classes_start_with_a_fresh_head(self, scenes, classifier_run, capsys):
        before = load_checkpoint(classifier_run.best_checkpoint)["weights"]["head.weight"]
        same = build_task(config(scenes, weights=classifier_run.directory), CLASSES).trained_model.head.weight
        assert torch.equal(same, before)
        assert "is new" not in capsys.readouterr().out
        other = build_task(config(scenes, weights=classifier_run.directory), ["x", "y", "z"]).trained_model.head.weight
        assert not torch.equal(other, before)
        assert other.abs().max() < 0.01  # a hundredth, as published
        assert "the head of those weights is for other classes: it is randomly initialised" in capsys.readouterr().out

    def test_layer_scales_that_a_file_lacks_are_left_out(self, scenes, tmp_path):
        model = fastitpn.create_model("fastitpn_nano", init_values=0.0, img_size=32, num_classes=3)
        torch.save(fastitpn.to_official_names(model.state_dict()), tmp_path / "a.pt")
        task = build_task(config(scenes, weights=tmp_path / "a.pt"), CLASSES)
        assert_same(trunk(task.trained_model.state_dict()), trunk(model.state_dict()))
        assert task.about.model["arguments"]["init_values"] == 0

    def test_weights_for_other_channels(self, scenes, tmp_path):
        model = fastitpn.create_model("fastitpn_nano", in_chans=6, img_size=32, num_classes=3)
        torch.save(model.state_dict(), tmp_path / "a.pt")
        with pytest.raises(InputError, match=r"1 WRONG SHAPE: patch_embed\.proj\.weight") as caught:
            build_task(config(scenes, weights=tmp_path / "a.pt"), CLASSES)
        assert caught.value.fix == "weights_strict=false to load the part that fits"
        build_task(config(scenes, weights=tmp_path / "a.pt", weights_strict=False), CLASSES)

    def test_weights_of_a_size_without_a_name(self, scenes, tmp_path):
        model = fastitpn.create_model("fastitpn_nano", embed_dim=128, num_heads=2, img_size=32)
        torch.save(model.state_dict(), tmp_path / "a.pt")
        with pytest.raises(InputError, match="the weights are of a size that has no name, 128 channels wide") as caught:
            build_task(config(scenes, weights=tmp_path / "a.pt", model=None), CLASSES)
        assert "fastitpn_nano" in caught.value.expected
        assert caught.value.fix == "weights=FILE of such a width"

    def test_weights_of_fewer_blocks_than_any_size(self, scenes, tmp_path):
        model = fastitpn.create_model("fastitpn_nano", depths=(1, 1, 2), img_size=32)
        torch.save(model.state_dict(), tmp_path / "a.pt")
        task = build_task(config(scenes, weights=tmp_path / "a.pt", model=None), CLASSES)
        assert task.about.model["arguments"]["depths"] == (1, 1, 2)
        with pytest.raises(InputError, match=r"depths=\(1, 1, 2\), the model has .* depths=\(1, 1, 6\)") as caught:
            build_task(config(scenes, weights=tmp_path / "a.pt", model="fastitpn_nano"), CLASSES)
        assert caught.value.fix == "leave out model=fastitpn_nano: the weights say which it is"
        cut = build_task(config(scenes, weights=tmp_path / "a.pt", model="fastitpn_nano", blocks="1-1"), CLASSES)
        assert cut.about.model["arguments"]["depths"] == (1, 1, 1)
        assert_same(trunk(task.trained_model.state_dict()), trunk(model.state_dict()))

    def test_drop_path_smoothing_and_mixing_are_those_asked_for(self, scenes):
        task = build_task(config(scenes, drop_path=0.3, mixup=0.2, cutmix=0, label_smoothing=0.05), CLASSES)
        assert task.trained_model.stages[2].blocks[-1].drop_path.drop_prob == pytest.approx(0.3)
        assert (task.mixer.mixup_alpha, task.mixer.cutmix_alpha, task.mixer.label_smoothing) == (0.2, 0, 0.05)
