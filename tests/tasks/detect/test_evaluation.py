"""Evaluation of a detector: figures against pycocotools, what is written, and what is refused."""

import contextlib
import io
import json
import shutil

import pytest
import torch
from tiny_runs import files

import fastitpn
from fastitpn.errors import InputError
from fastitpn.tasks.detect.evaluation import DetectEvaluation
from fastitpn.tasks.detect.heads.base import Detector
from fastitpn.tasks.loading import load_trained

NAMES = ["mammal", "produce", "building"]
CHARTS = [
    f"charts/{name}.{kind}"
    for name in ("confusion_matrix", "f1_by_score", "precision_recall")
    for kind in ("csv", "png")
]


def evaluate(run, data, out, **keys) -> DetectEvaluation:
    result = fastitpn.evaluate(run.directory, data, out=out, **{"device": "cpu", "workers": 0, **keys})
    assert isinstance(result, DetectEvaluation)
    return result


@pytest.fixture
def evaluation(detect_scenes, detector_run, tmp_path) -> DetectEvaluation:
    return evaluate(detector_run, detect_scenes, tmp_path / "out")


def test_the_verb_finds_the_task_and_agrees_with_the_run(detector_run, evaluation):
    best = next(row for row in detector_run.history if row["split"] == "val")
    assert evaluation.metrics == pytest.approx({name: best[name] for name in evaluation.metrics}, abs=0.01)
    assert (evaluation.num_images, evaluation.classes) == (5, NAMES)


def test_the_results_file_gives_pycocotools_the_same_figures(detect_scenes, evaluation, tmp_path):
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    assert evaluation.metrics["box_ap"] > 0  # else there would be little to see
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO(str(detect_scenes / "annotations_val.json"))
        results = json.loads((tmp_path / "out" / "detections.json").read_text())
        # beside a box, pycocotools takes its area for that of the mask, and so other masks for small
        masks = [{key: value for key, value in result.items() if key != "bbox"} for result in results]
        for kind, name, found in (("bbox", "box", results), ("segm", "mask", masks)):
            other = cocoeval.COCOeval(truth, truth.loadRes(found), kind)
            other.evaluate()
            other.accumulate()
            other.summarize()
            places = {"ap": 0, "ap50": 1, "ap75": 2, "ap_small": 3, "ap_medium": 4, "ap_large": 5, "ar": 8}
            theirs = {figure: other.stats[place] for figure, place in places.items() if other.stats[place] > -1}
            assert len(theirs) > 4  # there may be none of a size
            ours = {figure: evaluation.metrics[f"{name}_{figure}"] / 100 for figure in theirs}
            assert ours == pytest.approx(theirs, abs=1e-6)
            precision = other.eval["precision"][:, :, :, 0, -1]  # [overlap, recall, class]
            for place, label in enumerate(NAMES):
                theirs = precision[:, :, place][precision[:, :, place] > -1].mean()
                assert evaluation.class_metrics[label][f"{name}_ap"] / 100 == pytest.approx(theirs, abs=1e-6)


@pytest.mark.drawn
def test_what_is_written(evaluation, tmp_path, capsys):
    assert files(tmp_path / "out") == [*CHARTS, "detections.json", "evaluation.json", "report.html"]
    stored = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert stored["metrics"] == evaluation.metrics
    assert [row["class"] for row in stored["per_class"]] == NAMES
    assert sum(row["things"] for row in stored["per_class"]) > 5
    assert [row["class"] for row in stored["thresholds"]] == ["mean of the classes", *NAMES]
    assert stored["thresholds"][0]["min_score"] == evaluation.thresholds.best
    assert stored["interval"]["method"] == "jackknife over 10 groups of images"
    results = json.loads((tmp_path / "out" / "detections.json").read_text())
    assert results == evaluation.results
    assert {"image_id", "category_id", "bbox", "score", "segmentation"} == set(results[0])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Average precision by class" in page


def test_the_table_is_printed(detect_scenes, detector_run, tmp_path, capsys):
    evaluate(detector_run, detect_scenes, tmp_path / "out", px=48, max_px=64, acceleration="fast")
    said = capsys.readouterr().out
    for part in ("AP50", "AP75", "AP small", "boxes", "masks", *NAMES):
        assert part in said
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["acceleration"]["name"] == "fast"


def test_a_detector_that_finds_nothing(detect_scenes, detector_run, tmp_path, monkeypatch):
    detect = Detector.detect_each
    monkeypatch.setattr(Detector, "detect_each", lambda self, *batch: detect(self, *batch, min_score=1.1))
    evaluation = evaluate(detector_run, detect_scenes, tmp_path / "out")
    assert set(evaluation.metrics.values()) == {0.0}
    assert json.loads((tmp_path / "out" / "detections.json").read_text()) == []
    assert [value for _, value, _ in evaluation.headlines()] == [0, 0]


def test_one_image_at_a_time_gives_the_same(detect_scenes, detector_run, evaluation, tmp_path):
    alone = evaluate(detector_run, detect_scenes, tmp_path / "out", batch=1)
    assert alone.metrics == evaluation.metrics
    assert [row["image_id"] for row in alone.results] == [row["image_id"] for row in evaluation.results]


def test_annotations_may_be_a_file_and_images_anywhere(detect_scenes, detector_run, evaluation, tmp_path):
    file = shutil.copy(detect_scenes / "annotations_val.json", tmp_path / "mine.json")
    again = evaluate(detector_run, file, tmp_path / "again", images=detect_scenes / "val")
    assert again.metrics == evaluation.metrics


def test_category_ids_of_the_evaluated_file_are_used(detect_scenes, detector_run, evaluation, tmp_path):
    data = shutil.copytree(detect_scenes, tmp_path / "data")
    file = data / "annotations_val.json"
    content = json.loads(file.read_text())
    for category in content["categories"]:
        category["id"] *= 7
    for annotation in content["annotations"]:
        annotation["category_id"] *= 7
    file.write_text(json.dumps(content))
    other = evaluate(detector_run, data, tmp_path / "other")
    assert other.metrics == evaluation.metrics
    assert {row["category_id"] for row in other.results} <= {7, 14, 21}


def test_annotations_that_are_wrong_are_named_or_skipped(detect_scenes, detector_run, tmp_path, capsys):
    data = shutil.copytree(detect_scenes, tmp_path / "data")
    (data / "val" / "000002.jpg").write_text("text")
    with pytest.raises(InputError, match="image that cannot be read") as caught:
        evaluate(detector_run, data, tmp_path / "out")
    assert "000002.jpg" in caught.value.where
    assert not (tmp_path / "out").exists()
    assert evaluate(detector_run, data, tmp_path / "out", on_error="skip").num_images == 4
    assert "left out" in capsys.readouterr().out


def test_keys_of_another_task_are_refused(detect_scenes, detector_run, scenes, classifier_run, tmp_path):
    with pytest.raises(InputError, match="stride, masks: not used for a checkpoint of the task 'detect'"):
        evaluate(detector_run, detect_scenes, tmp_path, stride=16, masks="masks")
    with pytest.raises(InputError, match="min_score: not used for a checkpoint of the task 'classify'"):
        fastitpn.evaluate(classifier_run.directory, scenes.val, out=tmp_path, min_score=0.7)


def test_a_checkpoint_of_another_task_or_half_of_one(classifier_run, detector_run, tmp_path):
    with pytest.raises(InputError, match="this is a checkpoint of the task 'classify', and no detector"):
        load_trained(classifier_run.directory, task="detect")
    saved = torch.load(detector_run.best_checkpoint, weights_only=True)
    torch.save({key: value for key, value in saved.items() if key != "detector"}, tmp_path / "half.ckpt")
    with pytest.raises(InputError, match="the checkpoint lacks detector"):
        load_trained(tmp_path / "half.ckpt")
    torch.save({**saved, "classes": saved["classes"][:2]}, tmp_path / "other.ckpt")
    with pytest.raises(InputError, match=r"the model of this checkpoint cannot be built: .*size mismatch"):
        load_trained(tmp_path / "other.ckpt")


def test_the_loaded_network_is_the_trained_one(detector_run):
    detector = load_trained(detector_run.directory)
    assert (detector.px, detector.about.max_px, detector.about.class_names) == (32, 53, tuple(NAMES))
    assert not detector.model.training
    assert (detector.at(64).about.max_px, detector.at(None).about) == (106, detector.about)
    state = torch.get_rng_state()
    load_trained(detector_run.directory)
    assert torch.equal(torch.get_rng_state(), state)
