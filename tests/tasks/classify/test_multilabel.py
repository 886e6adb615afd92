"""Several labels for each image: one tiny run, and all that is made of it."""

import json

import pytest
import torch
from PIL import Image
from published import nano, randn
from tiny_runs import TRAINING

import fastitpn
from fastitpn.config import parse
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.classify.description import ClassifierDescription
from fastitpn.tasks.classify.diagnosis import diagnose
from fastitpn.tasks.classify.multilabel_export import MultilabelNetwork
from fastitpn.tasks.classify.multilabel_results import LabelSet
from fastitpn.tasks.classify.multilabel_scores import average_precision, best_thresholds
from fastitpn.tasks.classify.multilabel_task import MultilabelTask
from fastitpn.tasks.classify.task import MixSettings
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.registry import TASKS

CLASSES = ["absent", "blue", "green", "red"]
COLOURS = {"red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220)}
PLAIN = {"random_erasing": 0, "rand_augment": None, "crop_scale": (1, 1), "drop_path": 0, "ema": None}


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """Eight pictures of zero to three coloured fields; the label "absent" nobody has but the first one."""
    folder = tmp_path_factory.mktemp("coloured")
    lines = []
    for number in range(8):
        labels = [name for place, name in enumerate(COLOURS) if number >> place & 1]
        picture = Image.new("RGB", (48, 48), (128, 128, 128))
        for name in labels:
            picture.paste(COLOURS[name], (16 * list(COLOURS).index(name), 0, 16 * list(COLOURS).index(name) + 16, 48))
        picture.save(folder / f"{number}.png")
        lines.append(f"{number}.png,{'|'.join(labels)}")
    (folder / "train.csv").write_text("\n".join(["image,labels", "0.png,absent", *lines]))
    (folder / "val.csv").write_text("\n".join(["image,labels", *lines]))
    return folder


@pytest.fixture(scope="module")
def run(coloured, tmp_path_factory):
    keys = {**TRAINING, **PLAIN, "batch": 8, "steps": 12, "eval_every_epochs": 12, "lr": 2e-3, "scratch": True}
    data, val = coloured / "train.csv", coloured / "val.csv"
    out = tmp_path_factory.mktemp("runs") / "multilabel"
    return fastitpn.finetune("classify", data=data, val=val, multilabel=True, out=out, **keys)


@pytest.fixture(scope="module")
def evaluation(run, coloured, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation")
    return fastitpn.evaluate(run.directory, coloured / "val.csv", out=out, device="cpu", workers=0)


@pytest.mark.drawn
def test_the_run_says_what_it_measures(run):
    assert set(run.metrics) == {"train_loss", "loss", "map", "f1", "best_map", "best_step"}
    log = (run.directory / "log.txt").read_text()
    assert "to train: 8 images, 1.62 of 4 labels each, 0 without any" in log
    assert "to validate: no image has absent: AP and F1 are n/a, and the means leave them out" in log
    page = (run.directory / "report.html").read_text()
    for part in ("Mean AP", "threshold", "Worst mistakes", "no image has absent", *CLASSES):
        assert part in page


def test_its_checkpoint_has_the_thresholds_that_were_best(run, evaluation):
    saved = load_checkpoint(run.best_checkpoint)
    assert (saved["task"], saved["classes"]) == ("classify", CLASSES)
    thresholds = best_thresholds(evaluation.probabilities, evaluation.truth)
    assert saved["thresholds"] == pytest.approx(thresholds.tolist(), abs=1e-6)
    assert saved["thresholds"][0] == 0.5
    resumed = load_checkpoint(run.last_checkpoint)
    assert resumed["training"]["task"] == {"thresholds": resumed["thresholds"]}
    assert TASKS.spec("classify").phrase(saved) == "multi-label classifier"


def test_an_evaluation_is_the_run_s_own(run, evaluation, coloured):
    assert evaluation.metrics["map"] == pytest.approx(run.metrics["best_map"])
    assert evaluation.metrics["f1"] == pytest.approx(run.metrics["f1"])
    rows = {row["class"]: row for row in evaluation.per_class()}
    assert {name: row["images"] for name, row in rows.items()} == {"absent": 0, "blue": 4, "green": 4, "red": 4}
    assert rows["absent"]["AP"] is None
    ap = average_precision(evaluation.probabilities, evaluation.truth)
    assert [rows[name]["AP"] for name in CLASSES[1:]] == pytest.approx(ap[1:].tolist())
    assert evaluation.metrics["map"] == pytest.approx(100 * ap[1:].mean().item())
    assert "no image has absent: AP and F1 are n/a" in evaluation.table.caption
    json.dumps(evaluation.to_json(), allow_nan=False)


def test_predictions_are_sets_of_labels(run, evaluation, coloured, tmp_path, capsys):
    results = fastitpn.predict(run.directory, coloured, out=tmp_path, top_k=1, device="cpu")
    stored = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    chosen = [{CLASSES[place] for place in row.nonzero().flatten()} for row in evaluation.chosen]
    assert [set(result.labels) for result in results] == [set(line["labels"]) for line in stored] == chosen
    for result, scores, line in zip(results, evaluation.probabilities, stored, strict=True):
        assert list(result.scores) == sorted(result.scores, reverse=True) == line["scores"]
        assert result.scores == pytest.approx([scores[CLASSES.index(name)].item() for name in result.labels], abs=1e-6)
        assert len(result.candidates) == max(1, len(result.labels))
        assert line["candidates"] == dict(result.candidates)
        assert result.draw(64).width == 64
    assert "below their thresholds" in capsys.readouterr().out


def test_an_image_without_labels():
    nothing = LabelSet(index=0, path=None, labels=(), scores=(), candidates=(("red", 0.3),), source=None)
    assert (nothing.label, nothing.score, nothing.summary(), nothing.caption()) == ("", 0.0, "none", "none")
    assert [share.name for share in nothing.shares()] == ["red"]


def test_what_is_exported(run, coloured, tmp_path):
    data = coloured / "val.csv"
    folder = fastitpn.export("torchscript", run.directory, data=data, out=tmp_path / "out")
    about = json.loads((folder / "model.json").read_text())
    saved = load_checkpoint(run.best_checkpoint)
    assert (about["multilabel"], about["activation"]) == (True, "sigmoid")
    assert (about["classes"], about["thresholds"]) == (CLASSES, saved["thresholds"])
    assert about["parity"]["same_decisions"] == 1
    assert about["quality"]["metric"] == "map"
    assert about["quality"]["file"] == pytest.approx(run.metrics["best_map"])


def test_transformers_is_told_of_the_sigmoid(run):
    exported = TASKS.spec("classify").exportable(load_trained(run.directory))
    assert exported.describe_for_transformers() == {"problem_type": "multi_label_classification"}


def test_the_gate_counts_labels():
    network = MultilabelNetwork(nano(img_size=32, num_classes=2), [0.5, 0.9])
    expected = torch.tensor([[1.0, 2.0], [-1.0, 3.0]])
    assert network.compare([expected], [expected]) == (0, 4, 4)
    difference, same, number = network.compare([torch.tensor([[-1.0, 2.0], [-1.0, 2.0]])], [expected])
    assert (difference, same, number) == (1, 2, 4)


def test_weights_of_it_start_another(run, coloured):
    trained = load_trained(run.directory)
    assert trained.about.thresholds == tuple(load_checkpoint(run.best_checkpoint)["thresholds"])
    again = ClassifierDescription.from_dict({**trained.content, **trained.about.to_dict()})
    assert again == trained.about


def test_doctor_counts_labels(coloured):
    checked = diagnose(DoctorConfig(data=coloured / "val.csv"))
    assert checked.counts == {name: {"": 4} for name in CLASSES[1:]}
    assert [entry.label for entry in checked.entries[:4]] == ["no label", "red", "green", "green, red"]


def make(**mix) -> MultilabelTask:
    about = ClassifierDescription(
        model={}, classes=("a", "b", "c"), mean=(0, 0, 0), std=(1, 1, 1), px=32, thresholds=(0.5,) * 3
    )
    return MultilabelTask(nano(img_size=32, num_classes=3), about, MixSettings(**mix)).eval()


@torch.no_grad()
@pytest.mark.parametrize("kind", [None, "mixup", "cutmix"])
def test_images_and_labels_are_mixed_alike(kind, monkeypatch):
    task = make(**{"mixup": 0.0, "cutmix": 0.0, "label_smoothing": 0.2, **({kind: 1.0} if kind else {})})
    images = torch.tensor([0.0, 1.0])[:, None, None, None].expand(2, 3, 32, 32)
    labels, seen, logits = torch.tensor([[0.0, 1, 0], [1, 1, 0]]), [], randn(2, 3)
    monkeypatch.setattr(task.trained_model, "forward", lambda images: seen.append(images) or logits)
    torch.manual_seed(0)
    loss = task({"image": images, "label": labels})["loss"]
    share = seen[0].mean((1, 2, 3))  # of the second image
    mixed = torch.stack([share, torch.ones(2), torch.zeros(2)], 1) * 0.8 + 0.1
    torch.testing.assert_close(loss, torch.nn.functional.binary_cross_entropy_with_logits(logits, mixed))
    assert (kind is None) == (share.tolist() == [0, 1])


def test_mixing_is_off_unless_it_is_asked_for():
    def mixing(*words):
        config = parse(ClassifyConfig, ["data=t.csv", *words])
        return config.mixup, config.cutmix, config.label_smoothing

    assert mixing() == (0.8, 1.0, 0.1)
    assert mixing("multilabel=true", "batch=3") == (0, 0, 0)
    assert mixing("multilabel=true", "mixup=0.2", "label_smoothing=0.05") == (0.2, 0, 0.05)
    with pytest.raises(InputError, match="batch: expected an even number"):
        mixing("batch=3")
