"""Classification as a task: soft targets, and the figures of an evaluation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from published import nano, randn
from torch import nn

from fastitpn.console import printing
from fastitpn.tasks.classify.task import ClassifyTask, MixSettings, confusion_matrix, predict_logits, scores

CLASSES = ["a", "b", "c"]
PLAIN = {"mixup": 0.0, "cutmix": 0.0}


def make(**mix) -> ClassifyTask:
    return ClassifyTask(nano(img_size=32, num_classes=3), {"classes": CLASSES}, MixSettings(**mix)).eval()


@pytest.fixture
def batch():
    return {"image": randn(4, 3, 32, 32), "label": torch.tensor([0, 2, 1, 2]), "index": torch.arange(4)}


@torch.no_grad()
def test_without_mixing_the_labels_are_smoothed(batch):
    task = make(**PLAIN, label_smoothing=0.3)
    assert task.mixer is None
    log_p = task.trained_model(batch["image"]).log_softmax(1)
    target = F.one_hot(batch["label"], 3) * 0.7 + 0.3 / 3
    torch.testing.assert_close(task(batch)["loss"], -(target * log_p).sum(1).mean())


@torch.no_grad()
@pytest.mark.parametrize("mix", [PLAIN, {"mixup": 0.0, "cutmix": 1.0}])
def test_classes_weigh_as_they_are_told(batch, mix, monkeypatch):
    def losses(weights: list[float] | None) -> torch.Tensor:
        weighed = None if weights is None else torch.tensor(weights)
        model = nano(img_size=32, num_classes=3)
        task = ClassifyTask(model, {"classes": CLASSES}, MixSettings(**mix, label_smoothing=0), weighed).eval()
        monkeypatch.setattr(model, "forward", lambda images: torch.eye(4, 3))
        np.random.seed(3)
        return task({**batch, "label": torch.tensor([0, 0, 1, 1])})["loss"]

    plain, equal, first, second = (losses(w) for w in (None, [1.0, 1, 1], [2.0, 0, 0], [0, 2.0, 0]))
    torch.testing.assert_close(equal, plain)
    if mix is PLAIN:
        assert first == pytest.approx(float(-torch.eye(4, 3).log_softmax(1)[:2, 0].mean()))
    else:
        torch.testing.assert_close((first + second) / 2, plain)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_images_and_labels_are_mixed_alike(batch, kind, monkeypatch):
    task = make(**{**PLAIN, kind: 1.0}, label_smoothing=0.1)
    seen = []
    monkeypatch.setattr(task.trained_model, "forward", lambda images: seen.append(images) or torch.eye(4, 3))
    np.random.seed(3)
    loss = task(batch)["loss"]
    mixed, flipped = seen[0], batch["image"].flip(0)
    if kind == "mixup":
        share = float(((mixed - flipped) / (batch["image"] - flipped)).median())
        torch.testing.assert_close(mixed, share * batch["image"] + (1 - share) * flipped, atol=1e-4, rtol=1e-4)
    else:
        kept = mixed == batch["image"]
        assert torch.equal(mixed, torch.where(kept, batch["image"], flipped))
        share = float(kept.float().mean())
    assert 0 < share < 1
    smooth = F.one_hot(batch["label"], 3) * 0.9 + 0.1 / 3
    target = share * smooth + (1 - share) * smooth.flip(0)
    expected = -(target * torch.eye(4, 3).log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_mixing_depends_on_the_seed_alone(batch):
    task = make()
    losses = []
    for seed in (1, 1, 2):
        np.random.seed(seed)
        losses.append(float(task(batch)["loss"]))
    assert losses[0] == losses[1] != losses[2]


def test_scores_by_hand():
    logits = torch.tensor([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 2.0], [5.0, 0.0, 0.0]])
    labels = torch.tensor([0, 1, 0, 2])
    found = scores(logits, labels)
    assert found["top1"] == 50
    assert found["loss"] == pytest.approx(float(-logits.log_softmax(1)[range(4), labels].mean()))
    assert "top5" not in found  # with three classes it is always right


def test_top5_from_six_classes_on():
    logits = torch.arange(7.0).repeat(4, 1)  # classes 6, 5, 4, 3, 2 come first
    found = scores(logits, torch.tensor([6, 2, 1, 0]))
    assert (found["top1"], found["top5"]) == (25, 50)
    assert "top5" in scores(torch.eye(6), torch.arange(6))


def test_confusion_matrix_has_the_true_classes_as_rows():
    logits = F.one_hot(torch.tensor([1, 1, 0, 2]), 3).float()
    matrix = confusion_matrix(logits, torch.tensor([0, 1, 0, 2]))
    assert matrix.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    assert confusion_matrix(torch.eye(3)[:1], torch.tensor([2])).tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_logits_keep_the_order_of_the_batches():
    model = nn.Flatten()
    batches = [{"image": torch.full((2, 1, 1, 3), float(i)), "label": torch.tensor([i, i])} for i in range(3)]
    logits, labels = predict_logits(batches, model)
    assert labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert logits[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert not predict_logits([{"image": torch.ones(1, 3, requires_grad=True), "label": labels[:1]}], model)[
        0
    ].requires_grad


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("Tried to allocate 9 GiB")], ids=["cpu", "gpu"]
)
def test_where_memory_runs_out_half_a_batch_is_evaluated(error, capsys):
    class Narrow(nn.Flatten):
        def forward(self, images):
            if len(images) > 2:
                raise error
            return super().forward(images)

    batches = [{"image": torch.randn(5, 1, 1, 3), "label": torch.arange(5)} for _ in range(2)]
    with printing():
        logits, labels = predict_logits(batches, Narrow())
    assert torch.equal(logits, torch.cat([batch["image"].flatten(1) for batch in batches]))
    assert labels.tolist() == [*range(5), *range(5)]
    assert capsys.readouterr().out == "out of memory with 5 images in a batch: going on with 2\n"


def test_the_model_that_is_given_is_evaluated(batch):
    """Such as the moving average, not the model that learns."""
    task = make()
    other = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 3))
    found = task.evaluate([batch], other)
    assert found == scores(*predict_logits([batch], other))
    assert found != scores(*predict_logits([batch], task.trained_model))
