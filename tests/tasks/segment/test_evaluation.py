"""Evaluation of a segmentation: figures by hand, what is written, and what is refused."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_runs import files

import fastitpn
from fastitpn.data.images.decode import read_image
from fastitpn.errors import InputError
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.segment.evaluation import SegmentEvaluation

NAMES = ["background", "mammal", "produce", "building"]


def evaluate(run, data, out, **keys) -> SegmentEvaluation:
    result = fastitpn.evaluate(run.directory, data, out=out, **{"device": "cpu", "workers": 0, **keys})
    assert isinstance(result, SegmentEvaluation)
    return result


@pytest.fixture
def evaluation(segment_scenes, segmenter_run, tmp_path) -> SegmentEvaluation:
    return evaluate(segmenter_run, segment_scenes, tmp_path / "out")


def test_the_verb_finds_the_task_and_agrees_with_the_run(segmenter_run, evaluation):
    assert evaluation.metrics["miou"] == pytest.approx(segmenter_run.metrics["best_miou"])
    assert (evaluation.num_images, evaluation.classes) == (5, NAMES)


def test_figures_equal_a_confusion_matrix_by_hand_of_what_is_predicted(segment_scenes, segmenter_run, evaluation):
    predictor = fastitpn.load(segmenter_run.directory, device="cpu")
    matrix = np.zeros((4, 4), int)
    for path in sorted((segment_scenes / "images" / "val").iterdir()):
        with Image.open(segment_scenes / "masks" / "val" / f"{path.stem}.png") as image:
            mask = np.asarray(image)
        [one] = predictor(path)
        np.add.at(matrix, (mask.ravel(), one.labels.ravel()), 1)
    assert evaluation.matrix.tolist() == matrix.tolist()
    assert (matrix.sum(0) > 0).sum() >= 2  # else there would be little to see
    union = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
    assert evaluation.metrics["miou"] == pytest.approx(100 * np.nanmean(matrix.diagonal() / np.where(union, union, 1)))


@pytest.mark.drawn
def test_what_is_written(evaluation, tmp_path):
    assert files(tmp_path / "out") == [
        "charts/confusion_matrix.csv",
        "charts/confusion_matrix.png",
        "evaluation.json",
        "report.html",
    ]
    stored = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert stored["metrics"] == evaluation.metrics
    assert (stored["num_images"], stored["classes"]) == (5, NAMES)
    assert sorted(row["class"] for row in stored["per_class"]) == sorted(NAMES)
    assert {"class", "pixels", "IoU", "accuracy"} < set(stored["per_class"][0])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "IoU by class" in page
    assert "Image, mask, prediction" in page


def test_windows_scales_and_mirrors(segment_scenes, segmenter_run, evaluation, tmp_path):
    seen = {json.dumps(evaluation.metrics)}
    for number, keys in enumerate(
        ({"inference": "slide"}, {"scales": (0.75, 1.25)}, {"flip": True}, {"resize": False}, {"px": 48})
    ):
        other = evaluate(segmenter_run, segment_scenes, tmp_path / str(number), **keys)
        assert other.matrix.sum() == evaluation.matrix.sum()  # every pixel of every image, in any case
        seen.add(json.dumps(other.metrics))
    assert len(seen) > 3


def test_one_image_at_a_time_gives_the_same(segment_scenes, segmenter_run, evaluation, tmp_path):
    alone = evaluate(segmenter_run, segment_scenes, tmp_path / "alone", batch=1)
    assert alone.matrix.tolist() == evaluation.matrix.tolist()
    assert [picture.title for picture in alone.worst] == [picture.title for picture in evaluation.worst]


def test_another_acceleration_is_said(segment_scenes, segmenter_run, tmp_path, capsys):
    evaluate(segmenter_run, segment_scenes, tmp_path / "fast", acceleration="fast")
    assert "although the weights were trained with off" in capsys.readouterr().out
    assert json.loads((tmp_path / "fast" / "evaluation.json").read_text())["acceleration"]["name"] == "fast"


def test_masks_that_are_wrong_are_named_or_skipped(segment_scenes, segmenter_run, tmp_path, capsys):
    data = shutil.copytree(segment_scenes, tmp_path / "data")
    path = data / "masks" / "val" / "000002.png"
    with Image.open(path) as image:
        colored = image.convert("RGB")
    colored.putpixel((0, 0), (1, 2, 3))
    colored.save(path)
    with pytest.raises(InputError, match="1 of 5 images and masks cannot be used") as caught:
        evaluate(segmenter_run, data, tmp_path / "out")
    assert f"{path}: it holds colours, not numbers of classes: [1, 2, 3] (1 pixels)" in caught.value.where
    assert not (tmp_path / "out").exists()
    assert evaluate(segmenter_run, data, tmp_path / "out", on_error="skip").num_images == 4
    assert "1 of 5 images are skipped" in capsys.readouterr().out


def test_keys_of_another_task_are_refused(scenes, classifier_run, tmp_path):
    with pytest.raises(InputError, match="flip, inference: not used for a checkpoint of the task 'classify'") as caught:
        fastitpn.evaluate(classifier_run.directory, scenes.val, out=tmp_path, flip=True, inference="slide")
    assert caught.value.fix.startswith("leave them out")
    with pytest.raises(InputError, match="masks: not used for a checkpoint of the task 'classify'"):
        fastitpn.evaluate(classifier_run.directory, scenes.val, out=tmp_path, masks="masks")


def test_a_checkpoint_of_another_task_or_half_of_one(classifier_run, segmenter_run, tmp_path):
    with pytest.raises(InputError, match="this is a checkpoint of the task 'classify', and no segmentation network"):
        load_trained(classifier_run.directory, task="segment")
    saved = torch.load(segmenter_run.best_checkpoint, weights_only=True)
    torch.save({key: value for key, value in saved.items() if key != "head"}, tmp_path / "half.ckpt")
    with pytest.raises(InputError, match="the checkpoint lacks head"):
        load_trained(tmp_path / "half.ckpt")
    torch.save({**saved, "classes": saved["classes"][:3]}, tmp_path / "other.ckpt")
    with pytest.raises(InputError, match=r"the model of this checkpoint cannot be built: .*size mismatch"):
        load_trained(tmp_path / "other.ckpt")


def test_the_loaded_network_is_the_trained_one(segment_scenes, segmenter_run):
    segmenter = load_trained(segmenter_run.directory)
    assert (segmenter.px, segmenter.about.resize, segmenter.about.class_names) == (32, True, tuple(NAMES))
    assert not segmenter.model.training
    state = torch.get_rng_state()
    load_trained(segmenter_run.directory)
    assert torch.equal(torch.get_rng_state(), state)
    image = read_image(next((segment_scenes / "images" / "val").iterdir()))
    assert image.mode == "RGB"


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (
            [[900, 0], [100, 0]],
            "The model answers road almost always, for 1000 of 1000 pixels. Its pixel ",
        ),
        ([[800, 100], [100, 0]], "The model is no better than one answer for all. Its pixel accuracy is 80.0 %; "),
        ([[890, 10], [20, 80]], None),
        ([[800, 100], [20, 80]], None),  # fewer right than with one answer, and the poles are found
        ([[900, 0], [60, 40]], None),
    ],
)
def test_the_largest_class_stands_beside_the_accuracy(matrix, expected):
    counts = torch.tensor(matrix)
    evaluation = SegmentEvaluation(
        metrics={"miou": 45.0, "mean_accuracy": 50.0, "pixel_accuracy": 90.0},
        classes=["road", "pole"],
        num_images=2,
        matrix=counts,
        colors=((0, 0, 0), (1, 1, 1)),
        examples=[],
        worst=[],
    )
    largest = ("largest class", 90.0, "percent of the pixels are road")
    assert evaluation.headlines()[-1] == evaluation.summary()[-1] == largest
    assert evaluation.to_json()["largest_class"] == {"class": "road", "share": 90.0}
    assert [line.startswith(expected) for line in evaluation.warnings()] == [True] * (expected is not None)
