"""Fine-tuning for segmentation as a whole, through the public function."""

import shutil

import pytest
import torch
from tiny_runs import TRAINING, assert_same, content, figures, files, shallow_mask2former

import fastitpn
from fastitpn.config import build, parse
from fastitpn.data.segmentation.classes import SegmentationClasses, distinct_colors
from fastitpn.errors import InputError
from fastitpn.models.layers.position import resize_position_table
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.runs.run import Run
from fastitpn.tasks.segment.config import SegmentConfig
from fastitpn.tasks.segment.spec import build_task
from fastitpn.tasks.segment.task import SegmentTask

NAMES = ("background", "mammal", "produce", "building")
CLASSES = SegmentationClasses(names=NAMES, colors=distinct_colors(NAMES))


def config(data, **keys) -> SegmentConfig:
    return build(SegmentConfig, {"data": data, **TRAINING, **keys})


def finetune(data, out, **keys) -> Run:
    return fastitpn.finetune("segment", **{"data": data, "out": out, **TRAINING, **keys})


class TestRun:
    """What a run does and leaves."""

    def test_it_leaves_all_that_is_promised(self, segment_scenes, segmenter_run, pretrained_run):
        run = segmenter_run
        assert (run.verb, run.complete) == ("finetune segment", True)
        assert {"checkpoints/best.ckpt", "checkpoints/last.ckpt", "report.html", "log.txt"} <= set(files(run.directory))
        used = parse(SegmentConfig, [f"recipe={run.directory / 'config.yaml'}"])
        assert (used.weights, used.head.name, used.data) == (pretrained_run.directory, "linear", segment_scenes)
        names = {"train_loss", "miou", "mean_accuracy", "pixel_accuracy", "best_miou", "best_step"}
        assert set(run.metrics) == names

    def test_its_checkpoint_is_enough_to_use_it(self, segmenter_run):
        saved = load_checkpoint(segmenter_run.best_checkpoint)
        assert (saved["task"], saved["classes"], saved["px"], saved["resize"]) == ("segment", list(NAMES), 32, True)
        assert saved["head"] == {"name": "linear", "arguments": {}, "features": "pyramid"}
        assert saved["masks"] == {"ignore_index": 255, "reduce_zero_label": False}
        assert len(saved["colors"]) == 4
        assert "training" not in saved

    def test_the_report_has_curves_figures_and_examples(self, segmenter_run):
        page = (segmenter_run.directory / "report.html").read_text()
        for part in ("IoU by class", "Colours", "Image, mask, prediction", "Configuration", "<svg", *NAMES):
            assert part in page

    @pytest.mark.parametrize(
        ("head", "steps", "accuracy"), [("linear", 25, 85), ("upernet", 25, 85), ("mask2former", 40, 72)]
    )
    def test_it_learns(self, segment_scenes, pretrained_run, tmp_path, head, steps, accuracy):
        """Its own training images by heart."""
        plain = {"hflip": 0, "photometric": False, "scale_range": (1, 1), "drop_path": 0, "max_class_ratio": 1}
        with shallow_mask2former():
            run = finetune(
                shutil.copytree(segment_scenes, tmp_path / "data", ignore=shutil.ignore_patterns("train")),
                tmp_path / "run",
                val=tmp_path / "data",
                images="images/val",
                masks="masks/val",
                weights=pretrained_run.directory,
                head=head,
                px=64,
                batch=5,
                steps=steps,
                lr=3e-3,
                layer_decay=1,
                eval_every_epochs=40,
                warmup_steps=5,
                **plain,
            )
        rows = [row["loss"] for row in run.history if row["split"] == "train"]
        assert rows[-1] < 0.7 * rows[0]
        assert run.metrics["pixel_accuracy"] > accuracy

    def test_interrupted_it_goes_on_to_the_same_bits(self, segment_scenes, pretrained_run, tmp_path, monkeypatch):
        keys = {"steps": 5, "checkpoint_every": 2, "weights": pretrained_run.directory, "ema": 0.9, "head.width": 8}
        unbroken = finetune(segment_scenes, tmp_path / "unbroken", **keys)
        forward, done = SegmentTask.forward, []

        def forward_until_the_cut(task, batch):
            done.append(1)
            if len(done) == 4:
                raise OSError("the machine is gone")
            return forward(task, batch)

        with monkeypatch.context() as patch:
            patch.setattr(SegmentTask, "forward", forward_until_the_cut)
            with pytest.raises(OSError, match="the machine is gone"):
                finetune(segment_scenes, tmp_path / "cut", **keys)
        cut = finetune(segment_scenes, tmp_path / "cut", **keys)
        assert_same(content(cut)["training"], content(unbroken)["training"])
        assert_same(content(cut)["weights"], content(unbroken)["weights"])
        assert figures(cut) == figures(unbroken)
        assert cut.metrics == unbroken.metrics

    def test_the_same_seed_gives_the_same_run_whatever_the_workers(self, segment_scenes, tmp_path):
        one = finetune(segment_scenes, tmp_path / "one", scratch=True, seed=3, head="linear")
        two = finetune(segment_scenes, tmp_path / "two", scratch=True, seed=3, head="linear", workers=1)
        assert_same(content(one)["training"], content(two)["training"])

    def test_a_straight_line_for_the_learning_rate(self, segment_scenes, tmp_path):
        run = finetune(segment_scenes, tmp_path / "run", scratch=True, head="linear", steps=4, lr=4e-4)
        rates = [row["lr"] for row in run.history if row["split"] == "train"]
        assert rates == pytest.approx([4e-4, 3e-4, 2e-4, 1e-4])

    @pytest.mark.drawn
    def test_a_published_form_with_acceleration(self, segment_scenes, pretrained_run, tmp_path):
        keys = {"features": "pyramid_and_trunk", "head.width": 16, "acceleration": "balanced", "px": 64, "steps": 1}
        run = finetune(segment_scenes, tmp_path / "run", weights=pretrained_run.directory, **keys)
        saved = load_checkpoint(run.best_checkpoint)
        assert saved["acceleration"]["name"] == "balanced"
        arguments = {"width": 16, "auxiliary_width": 64, "auxiliary_weight": 0.4, "dropout": 0.1}
        assert saved["head"] == {"name": "upernet", "arguments": arguments, "features": "pyramid_and_trunk"}
        assert "acceleration" in (run.directory / "report.html").read_text()

    def test_the_head_alone(self, segment_scenes, pretrained_run, tmp_path):
        run = finetune(segment_scenes, tmp_path / "run", weights=pretrained_run.directory, freeze=True, head="linear")
        before, after = content(pretrained_run)["weights"], content(run)["weights"]
        shared = [name for name in after if name.startswith("backbone.") and name in before]
        assert len(shared) > 100
        assert_same({name: after[name] for name in shared}, {name: before[name] for name in shared})

    def test_images_of_which_some_cannot_be_used(self, segment_scenes, tmp_path, capsys):
        data = shutil.copytree(segment_scenes, tmp_path / "data")
        (data / "masks" / "train" / "000003.png").unlink()
        with pytest.raises(InputError, match="1 of 15 images and masks cannot be used"):
            finetune(data, tmp_path / "run", scratch=True)
        assert not (tmp_path / "run").exists()
        finetune(data, tmp_path / "run", scratch=True, on_error="skip", head="linear", steps=1)
        assert "1 of 15 images are skipped" in capsys.readouterr().out


class TestStart:
    """Where the weights come from."""

    def test_trunk_and_pyramid_of_a_pre_training(self, segment_scenes, pretrained_run, capsys):
        task = build_task(config(segment_scenes, weights=pretrained_run.directory), CLASSES)
        before = content(pretrained_run)["weights"]
        ours = task.trained_model.backbone.state_dict()
        assert any(name.startswith("pyramid.") for name in ours)
        assert_same(ours, {name: before[f"backbone.{name}"] for name in ours})
        assert "not needed here: used in pre-training only" in capsys.readouterr().out

    def test_a_published_file(self, segment_scenes, tmp_path):
        torch.manual_seed(9)
        model = fastitpn.create_pretraining_model("fastitpn_nano", teacher_dim=48, img_size=64)
        torch.save({"module": fastitpn.to_official_names(model.half().state_dict())}, tmp_path / "published.pt")
        task = build_task(config(segment_scenes, weights=tmp_path / "published.pt", px=None, model=None), CLASSES)
        assert task.about.px == 64
        expected = model.float().backbone.state_dict()["pyramid.output4.mlp.fc1.weight"]
        ours = task.trained_model.backbone.state_dict()["pyramid.output4.mlp.fc1.weight"]
        torch.testing.assert_close(ours, expected)

    def test_a_classifier_has_no_pyramid(self, segment_scenes, classifier_run, capsys):
        with pytest.raises(InputError, match=r"MISSING: pyramid\.") as caught:
            build_task(config(segment_scenes, weights=classifier_run.directory), CLASSES)
        assert caught.value.fix.startswith("weights_strict=false to initialise the rest randomly")
        build_task(config(segment_scenes, weights=classifier_run.directory, weights_strict=False), CLASSES)

    def test_a_higher_resolution(self, segment_scenes, pretrained_run):
        before = content(pretrained_run)["weights"]["backbone.pos_embed"]
        task = build_task(config(segment_scenes, weights=pretrained_run.directory, px=64), CLASSES)
        expected = resize_position_table(before, 2, 2, 4, 4, "size")
        torch.testing.assert_close(task.trained_model.backbone.pos_embed.detach(), expected)

    def test_another_segmentation_gives_its_head_too(self, segment_scenes, segmenter_run, capsys):
        before = load_checkpoint(segmenter_run.best_checkpoint)["weights"]
        same = build_task(config(segment_scenes, weights=segmenter_run.directory, head="linear"), CLASSES)
        assert_same(same.trained_model.state_dict(), before)
        assert "the head is taken over\n" in capsys.readouterr().out
        names = ("a", "b", "c", "d")
        other = SegmentationClasses(names=names, colors=distinct_colors(names))
        task = build_task(config(segment_scenes, weights=segmenter_run.directory, head="linear"), other)
        assert "but for its last layers: those are for other classes" in capsys.readouterr().out
        ours = task.trained_model.state_dict()
        assert torch.equal(ours["head.norms.1.weight"], before["head.norms.1.weight"])
        assert not torch.equal(ours["head.classifiers.1.weight"], before["head.classifiers.1.weight"])
        build_task(config(segment_scenes, weights=segmenter_run.directory, head={"width": 8}), CLASSES)
        assert "the head of those weights is another: it is randomly initialised" in capsys.readouterr().out

    def test_a_classifier_may_start_from_a_segmentation(self, scenes, segmenter_run, tmp_path):
        keys = {"weights": segmenter_run.directory, "out": tmp_path / "run"}
        run = fastitpn.finetune("classify", data=scenes.train, val=scenes.val, **keys, **TRAINING)
        assert run.complete

    def test_random_weights_are_warned_about(self, segment_scenes, capsys):
        build_task(config(segment_scenes), CLASSES)
        assert "no weights given: training starts from random ones (scratch=true says so" in capsys.readouterr().out
