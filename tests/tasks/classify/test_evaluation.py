"""Evaluation: figures by hand, what is written, and where."""

import json
import shutil

import pytest
import torch
from tiny_runs import files

import fastitpn
from fastitpn.data.classification.labelled import LabelledImages, labelled
from fastitpn.data.images.decode import read_image
from fastitpn.data.images.transforms import classify_eval
from fastitpn.errors import InputError
from fastitpn.tasks.classify.evaluation import ClassifyEvaluation, evaluate_classifier
from fastitpn.tasks.loading import load_trained
from fastitpn.training.processes.devices import build_fabric

CLASSES = ["building", "mammal", "produce"]
CHARTS = [f"charts/{name}.{kind}" for name in ("calibration", "confusion_matrix") for kind in ("csv", "png")]


def evaluate(run, data, out, **keys) -> ClassifyEvaluation:
    return fastitpn.evaluate(run.directory, data, out=out, **{"device": "cpu", "workers": 0, **keys})


@pytest.fixture
def evaluation(scenes, classifier_run, tmp_path) -> ClassifyEvaluation:
    return evaluate(classifier_run, scenes.val, tmp_path / "out")


def test_figures_are_those_of_the_model_image_by_image(scenes, classifier_run, evaluation):
    classifier = load_trained(classifier_run.directory, task="classify")
    view = classify_eval(classifier.px, mean=classifier.mean, std=classifier.std)
    images = labelled(scenes.val, CLASSES)
    with torch.no_grad():
        rows = [classifier.model(view(read_image(path))[None]).softmax(1)[0] for path in images.paths]
    torch.testing.assert_close(evaluation.probabilities, torch.stack(rows), atol=1e-5, rtol=0)
    predicted = torch.stack(rows).argmax(1).tolist()
    right = sum(p == label for p, label in zip(predicted, images.labels, strict=True))
    assert evaluation.metrics["top1"] == pytest.approx(100 * right / 6)
    assert evaluation.matrix.sum().item() == 6
    assert evaluation.matrix.diagonal().sum().item() == right
    assert evaluation.matrix.sum(1).tolist() == [2, 2, 2]  # rows are the true classes


@pytest.mark.drawn
def test_what_is_written(scenes, classifier_run, evaluation, tmp_path, capsys):
    assert files(tmp_path / "out") == [*CHARTS, "evaluation.json", "report.html"]
    stored = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert stored["metrics"] == evaluation.metrics
    assert (stored["num_images"], stored["classes"]) == (6, CLASSES)
    assert stored["confusion_matrix"] == evaluation.matrix.tolist()
    assert sorted(row["class"] for row in stored["per_class"]) == CLASSES
    assert stored["calibration"]["ece"] == evaluation.calibration.error
    assert (stored["interval"]["metric"], stored["interval"]["method"]) == ("top1", "Wilson")
    assert stored["interval"]["low"] < evaluation.metrics["top1"] < stored["interval"]["high"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "95 % interval of Top-1 accuracy" in page
    assert "Calibration" in page
    assert "Confusion matrix" in page
    assert "Worst mistakes" in page


def test_what_is_printed(scenes, classifier_run, tmp_path, capsys):
    evaluation = evaluate(classifier_run, scenes.val, tmp_path / "out")
    said = capsys.readouterr().out
    for part in (*CLASSES, "Accuracy by class", f"{evaluation.metrics['top1']:.2f}", str(tmp_path / "out")):
        assert part in said


def test_worst_mistakes_come_first(scenes):
    images = labelled(scenes.val, CLASSES)
    probabilities = torch.tensor(
        [[0.1, 0.8, 0.1], [0.9, 0.1, 0.0], [0.6, 0.3, 0.1], [0.0, 1.0, 0.0], [0.0, 0.95, 0.05], [0.1, 0.1, 0.8]]
    )
    evaluation = ClassifyEvaluation(
        metrics={}, classes=CLASSES, num_images=6, matrix=torch.eye(3), images=images, probabilities=probabilities
    )
    captions = [item.caption for item in evaluation.worst_mistakes()]
    assert captions == ["mammal (95%), is produce", "mammal (80%), is building", "building (60%), is mammal"]
    assert len(evaluation.worst_mistakes(most=1)) == 1


def test_without_mistakes_there_are_none_to_show(scenes):
    images = labelled(scenes.val, CLASSES)
    probabilities = torch.nn.functional.one_hot(torch.tensor(images.labels), 3).float()
    evaluation = ClassifyEvaluation(
        metrics={},
        classes=CLASSES,
        num_images=6,
        matrix=torch.eye(3, dtype=torch.long),
        images=images,
        probabilities=probabilities,
    )
    assert evaluation.worst_mistakes() == []
    assert not any("mistakes" in section.title for section in evaluation.sections())


def test_a_table_gives_the_same_figures(scenes, classifier_run, evaluation, tmp_path):
    lines = [f"{path},{path.parent.name}" for path in sorted(scenes.val.rglob("*.jpg"))]
    (tmp_path / "val.csv").write_text("image,label\n" + "\n".join(lines) + "\n")
    table = evaluate(classifier_run, tmp_path / "val.csv", tmp_path / "table")
    assert table.metrics == evaluation.metrics


def test_batches_and_workers_change_nothing(scenes, classifier_run, evaluation):
    classifier, images = load_trained(classifier_run.directory, task="classify"), labelled(scenes.val, CLASSES)
    again = evaluate_classifier(classifier, images, build_fabric("cpu"), batch=4)
    torch.testing.assert_close(again.probabilities, evaluation.probabilities, atol=1e-5, rtol=0)
    many = LabelledImages(paths=images.paths * 4, labels=images.labels * 4, classes=CLASSES)
    helped = evaluate_classifier(classifier, many, build_fabric("cpu"), batch=1, workers=1)
    torch.testing.assert_close(helped.probabilities, evaluation.probabilities.repeat(4, 1), atol=1e-5, rtol=0)


def test_classes_that_are_not_in_the_data_are_still_there(scenes, classifier_run, tmp_path):
    shutil.copytree(scenes.val / "mammal", tmp_path / "data" / "mammal")
    evaluation = evaluate(classifier_run, tmp_path / "data", tmp_path / "out")
    assert evaluation.classes == CLASSES
    assert evaluation.matrix.sum(1).tolist() == [0, 2, 0]


def test_another_size(scenes, classifier_run, evaluation, tmp_path):
    larger = evaluate(classifier_run, scenes.val, tmp_path / "larger", px=64)
    assert larger.probabilities.shape == (6, 3)
    assert not torch.equal(larger.probabilities, evaluation.probabilities)


def test_it_repeats_itself_and_leaves_the_callers_random_state_alone(scenes, classifier_run, evaluation, tmp_path):
    state = torch.get_rng_state()
    again = evaluate(classifier_run, scenes.val, tmp_path / "again")
    assert torch.equal(again.probabilities, evaluation.probabilities)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.drawn
def test_the_report_of_a_run_is_not_replaced(scenes, classifier_run):
    out = classifier_run.directory
    before = (out / "report.html").read_bytes()
    with pytest.raises(InputError, match="out is the directory of a run, whose report would be replaced") as caught:
        evaluate(classifier_run, scenes.val, out)
    assert (caught.value.where, caught.value.fix) == (out, f"out={out / 'evaluation'}")
    assert (out / "report.html").read_bytes() == before


@pytest.mark.parametrize("inside", ["", "deep/er"])
def test_a_file_in_the_way(scenes, classifier_run, tmp_path, inside):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="out is a file, or below one") as caught:
        evaluate(classifier_run, scenes.val, tmp_path / "file" / inside)
    assert caught.value.where == tmp_path / "file"
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[60, 0], [40, 0]], "The model answers cat almost always, for 100 of 100 images. Its accuracy is 60.0 %; "),
        ([[59, 1], [38, 2]], "The model answers cat almost always, for 97 of 100 images. Its accuracy is 61.0 %; "),
        ([[40, 20], [20, 20]], "The model is no better than one answer for all. Its accuracy is 60.0 %; "),
        ([[45, 15], [10, 30]], None),
        ([[97, 0], [1, 2]], None),  # nearly all images are cats, and the others were told from them
        ([[97, 0], [3, 0]], "The model is no better than one answer for all. Its accuracy is 97.0 %; "),
        ([[0, 2], [0, 2]], None),  # of four images nothing is said
        ([[100, 0], [0, 0]], None),
    ],
)
def test_one_answer_for_all_is_warned_about(matrix, expected):
    counts = torch.tensor(matrix)
    number = int(counts.sum())
    evaluation = ClassifyEvaluation(
        metrics={"loss": 1.0, "top1": 100 * counts.diagonal().sum().item() / number},
        classes=["cat", "dog"],
        num_images=number,
        matrix=counts,
        images=LabelledImages(paths=[], labels=[], classes=["cat", "dog"]),
        probabilities=torch.zeros(0, 2),
    )
    share = 100 * max(map(sum, matrix)) / number
    assert (evaluation.largest_class.name, evaluation.largest_class.share) == ("cat", pytest.approx(share))
    assert evaluation.to_json()["largest_class"] == {"class": "cat", "share": pytest.approx(share)}
    assert evaluation.headlines()[1] == ("largest class", round(share, 1), "percent of the images are cat")
    assert (evaluation.tables()[1].rows[-1]) == ("largest class (cat)", pytest.approx(share))
    told = evaluation.warnings()
    assert len(told) == (expected is not None)
    if expected:
        assert told[0].startswith(f"{expected}answering cat for every image gives {share:.1f} %. Train longer")
