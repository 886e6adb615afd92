"""Fine-tuning for detection as a whole, through the public function."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from tiny_runs import NARROW, TRAINING, assert_same, content, figures, files, narrow_rcnn

import fastitpn
from fastitpn.config import build, parse
from fastitpn.data.detection.annotations import Annotation, DetectionClasses, DetectionImages
from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.runs.run import Run
from fastitpn.tasks.detect.config import DetectConfig
from fastitpn.tasks.detect.heads.rcnn import MASK_RCNN, RCNNKeys
from fastitpn.tasks.detect.spec import SPEC
from fastitpn.tasks.detect.task import DetectTask
from fastitpn.tasks.queries import say_if_many
from fastitpn.tasks.spec import Split

NAMES = ("mammal", "produce", "building")
CLASSES = DetectionClasses(names=NAMES, ids=(1, 2, 3))
REGIONS = {"detector.regions": 32}
SMALL = {"detector.queries": 20, "detector.layers": 1}


SIZES = {
    **{"anchor_scale": 4.0, "regions": 64, "proposals": 200, "box_width": 256, "mask_width": 64},
    **{"box_head": "mlp", "box_loss": "smooth_l1", "region_loss": "smooth_l1", "sampling": 2},
}
"""Of a Mask R-CNN for 32 px."""


def test_sizes_in_proportion_to_the_images():
    assert MASK_RCNN.arguments(RCNNKeys(), 64, 32) == SIZES


def config(data, **keys) -> DetectConfig:
    return build(DetectConfig, {"data": data, **TRAINING, **keys})


def build_task(config, classes) -> DetectTask:
    """Of data with these classes."""
    path = config.data / "a.jpg"
    images = DetectionImages(path, classes, [path], [1], [(32, 32)], [[]], with_masks=True)
    return SPEC.build(config, Split(train=images, val=images, num_classes=len(classes)))


def finetune(data, out, **keys) -> Run:
    return fastitpn.finetune("detect", **{"data": data, "out": out, **TRAINING, **keys})


@pytest.fixture
def narrow():
    """Runs of detectors by regions take less time."""
    with narrow_rcnn():
        yield


@pytest.mark.usefixtures("narrow")
class TestRun:
    """What a run does and leaves."""

    def test_it_leaves_all_that_is_promised(self, detect_scenes, detector_run, pretrained_run):
        run = detector_run
        assert (run.verb, run.complete) == ("finetune detect", True)
        assert {"checkpoints/best.ckpt", "checkpoints/last.ckpt", "report.html", "log.txt"} <= set(files(run.directory))
        used = parse(DetectConfig, [f"recipe={run.directory / 'config.yaml'}"])
        assert (used.weights, used.detector.name, used.data) == (pretrained_run.directory, "mask_rcnn", detect_scenes)
        assert {"train_loss", "box_ap", "box_ap75", "mask_ap", "best_mask_ap", "best_step"} < set(run.metrics)

    def test_its_checkpoint_is_enough_to_use_it(self, detector_run):
        saved = load_checkpoint(detector_run.best_checkpoint)
        assert (saved["task"], saved["classes"], saved["category_ids"]) == ("detect", list(NAMES), [1, 2, 3])
        assert (saved["px"], saved["max_px"], saved["acceleration"]["name"]) == (32, 53, "off")
        assert saved["detector"] == {"name": "mask_rcnn", "arguments": SIZES | NARROW}
        assert "training" not in saved

    def test_the_report_has_curves_figures_and_examples(self, detector_run):
        page = (detector_run.directory / "report.html").read_text()
        for part in (
            "Average precision by class",
            "Annotations and predictions",
            "Configuration",
            "<svg",
            *NAMES,
        ):
            assert part in page

    @pytest.mark.parametrize(
        ("detector", "keys"),
        [
            ("mask_rcnn", REGIONS),
            ("faster_rcnn", REGIONS),
            ("cascade_mask_rcnn", REGIONS),
            ("dino", {**SMALL, "lr": 2e-3}),
            ("mask2former", SMALL),
        ],
    )
    def test_it_learns(self, few_scenes, pretrained_run, tmp_path, detector, keys):
        """The losses fall; that what is learnt is right, the tests of the detectors say."""
        plain = {"hflip": 0, "drop_path": 0, "layer_decay": 1, "lr": 1e-3, "warmup_steps": 3, "px": 48, "steps": 16}
        weights = pretrained_run.directory
        keys = {**plain, "weights": weights, "detector": detector, **keys}
        run = finetune(few_scenes, tmp_path / "run", **keys)
        losses = [row["loss"] for row in run.history if row["split"] == "train"]
        assert sum(losses[-4:]) < 0.8 * sum(losses[:4])
        assert ("mask_ap" in run.metrics) == ("mask" in detector)

    @pytest.mark.parametrize("detector", ["mask_rcnn", "dino"])
    def test_interrupted_it_goes_on_to_the_same_bits(self, few_scenes, pretrained_run, tmp_path, monkeypatch, detector):
        keys = {"steps": 5, "checkpoint_every": 2, "weights": pretrained_run.directory, "ema": 0.9, "accumulate": 2}
        keys |= {"batch": 2, "detector": detector, "multi_scale": (32, 48), **(SMALL if detector == "dino" else {})}
        unbroken = finetune(few_scenes, tmp_path / "unbroken", **keys)
        forward, done = DetectTask.forward, []

        def forward_until_the_cut(task, batch):
            done.append(1)
            if len(done) == 8:
                raise OSError("the machine is gone")
            return forward(task, batch)

        with monkeypatch.context() as patch:
            patch.setattr(DetectTask, "forward", forward_until_the_cut)
            with pytest.raises(OSError, match="the machine is gone"):
                finetune(few_scenes, tmp_path / "cut", **keys)
        cut = finetune(few_scenes, tmp_path / "cut", **keys)
        assert_same(content(cut)["training"], content(unbroken)["training"])
        assert_same(content(cut)["weights"], content(unbroken)["weights"])
        assert figures(cut) == figures(unbroken)
        assert cut.metrics == unbroken.metrics

    def test_the_same_seed_gives_the_same_run_whatever_the_workers(self, few_scenes, tmp_path):
        keys = {"scratch": True, "seed": 3, "detector": "faster_rcnn", "jitter": (0.5, 1.5)}
        one = finetune(few_scenes, tmp_path / "one", **keys)
        two = finetune(few_scenes, tmp_path / "two", **keys, workers=1)
        assert_same(content(one)["training"], content(two)["training"])
        assert content(one)["max_px"] == 32  # with jitter images are fitted into squares

    @pytest.mark.drawn
    def test_the_published_schedule_with_acceleration(self, few_scenes, pretrained_run, tmp_path):
        keys = {"acceleration": "balanced", "px": 64, "steps": 4, "schedule": "step", "lr": 1e-3}
        run = finetune(few_scenes, tmp_path / "run", weights=pretrained_run.directory, **keys)
        assert load_checkpoint(run.best_checkpoint)["acceleration"]["name"] == "balanced"
        assert "acceleration" in (run.directory / "report.html").read_text()
        rates = [row["lr"] for row in run.history if row["split"] == "train"]
        assert rates == pytest.approx([1e-3, 1e-3, 1e-3, 1e-4])

    def test_images_and_annotations_of_which_some_cannot_be_used(self, few_scenes, tmp_path, capsys):
        data = shutil.copytree(few_scenes, tmp_path / "data")
        (data / "train" / "000003.jpg").unlink()
        with pytest.raises(InputError, match="missing image file"):
            finetune(data, tmp_path / "run", scratch=True)
        assert not (tmp_path / "run").exists()
        finetune(data, tmp_path / "run", scratch=True, on_error="skip", detector="faster_rcnn", steps=1)
        assert "1 image and 6 annotations left out" in capsys.readouterr().out

    def test_boxes_alone_are_enough_for_faster_rcnn(self, few_scenes, tmp_path):
        data = shutil.copytree(few_scenes, tmp_path / "data")
        for file in data.glob("*.json"):
            labels = json.loads(file.read_text())
            for annotation in labels["annotations"]:
                del annotation["segmentation"]
            file.write_text(json.dumps(labels))
        with pytest.raises(InputError, match="has a mask") as caught:
            finetune(data, tmp_path / "run", scratch=True)
        assert "detector=faster_rcnn" in caught.value.fix
        assert finetune(data, tmp_path / "run", scratch=True, detector="faster_rcnn", steps=1).complete


@pytest.mark.usefixtures("narrow")
class TestStart:
    """Where the weights come from."""

    def test_trunk_and_pyramid_of_a_pre_training(self, detect_scenes, pretrained_run, capsys):
        task = build_task(config(detect_scenes, weights=pretrained_run.directory), CLASSES)
        before = content(pretrained_run)["weights"]
        ours = task.trained_model.backbone.state_dict()
        assert any(name.startswith("pyramid.") for name in ours)
        assert_same(ours, {name: before[f"backbone.{name}"] for name in ours})
        assert "not needed here: used in pre-training only" in capsys.readouterr().out

    def test_a_classifier_has_no_pyramid(self, detect_scenes, classifier_run):
        with pytest.raises(InputError, match=r"MISSING: pyramid\.") as caught:
            build_task(config(detect_scenes, weights=classifier_run.directory), CLASSES)
        assert caught.value.fix.startswith("weights_strict=false to initialise the rest randomly")
        build_task(config(detect_scenes, weights=classifier_run.directory, weights_strict=False), CLASSES)

    def test_another_detection_gives_its_detector_too(self, detect_scenes, detector_run, capsys):
        before = load_checkpoint(detector_run.best_checkpoint)["weights"]
        same = build_task(config(detect_scenes, weights=detector_run.directory), CLASSES)
        assert_same(same.trained_model.state_dict(), before)
        assert "the detector is taken over\n" in capsys.readouterr().out
        other = DetectionClasses(names=("a", "b"), ids=(1, 2))
        task = build_task(config(detect_scenes, weights=detector_run.directory), other)
        assert "but for its last layers: those are for other classes" in capsys.readouterr().out
        ours, own = task.trained_model.state_dict(), task.trained_model.class_layers
        taken = [name for name in ours if name.startswith(("rpn.", "roi_heads.")) and not name.startswith(own)]
        assert len(taken) > 10
        assert_same({name: ours[name] for name in taken}, {name: before[name] for name in taken})
        assert any(len(ours[name]) != len(before[name]) for name in ours if name.startswith(own))
        build_task(config(detect_scenes, weights=detector_run.directory, detector="faster_rcnn"), CLASSES)
        assert "the detector of those weights is another: it is randomly initialised" in capsys.readouterr().out

    def test_another_task_may_start_from_a_detection(self, scenes, segment_scenes, detector_run, tmp_path):
        keys = {"weights": detector_run.directory, **TRAINING, "steps": 1}
        assert fastitpn.finetune("classify", data=scenes.train, val=scenes.val, out=tmp_path / "a", **keys).complete
        assert fastitpn.finetune("segment", data=segment_scenes, head="linear", out=tmp_path / "b", **keys).complete

    def test_it_is_said_where_images_are_much_larger_than_they_are_looked_at(self, few_scenes, tmp_path, capsys):
        data = shutil.copytree(few_scenes, tmp_path / "data")
        finetune(data, tmp_path / "large", scratch=True, detector="faster_rcnn", steps=1)
        assert "a larger px detects smaller objects" not in capsys.readouterr().out
        for part in ("train", "val"):
            file = data / f"annotations_{part}.json"
            labels = json.loads(file.read_text())
            for image in labels["images"]:
                path = data / part / image["file_name"]
                image["width"], image["height"] = 3 * image["width"], 3 * image["height"]
                with Image.open(path) as picture:
                    picture.resize((image["width"], image["height"])).save(path)
            for annotation in labels["annotations"]:
                del annotation["segmentation"]
            file.write_text(json.dumps(labels))
        finetune(data, tmp_path / "small", scratch=True, detector="faster_rcnn", steps=1)
        assert "are resized to 32 px: a larger px detects smaller objects" in capsys.readouterr().out


def test_more_objects_than_queries_are_said(capsys):
    """With the share of images, and what to type; crowds are not counted."""
    annotation = Annotation(box=(0.0, 0.0, 9.0, 9.0), label=0, crowd=False, area=81.0, id=1, mask=None)
    crowd = annotation._replace(crowd=True)
    of_images = [[annotation] * 3, [annotation, crowd, crowd], [annotation] * 2, []]
    names = [Path(f"{place}.png") for place in range(4)]
    classes = DetectionClasses(names=("a",), ids=(1,))
    images = DetectionImages(Path("a.json"), classes, names, range(4), [(9, 9)] * 4, of_images, with_masks=False)
    assert images.num_objects == [3, 1, 2, 0]
    say_if_many(images.num_objects, 2, "detector.queries")
    assert "1 of 4 images (25%) have more objects than the 2 that" in capsys.readouterr().out.replace("\n", " ")
    say_if_many(images.num_objects, 3, "detector.queries")
    say_if_many(images.num_objects, None, "detector.queries")
    assert not capsys.readouterr().out
