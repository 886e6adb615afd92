"""The kNN probe of a pre-training."""

import pytest
import torch
from published import nano, randn
from tiny_runs import TRAINING

import fastitpn
from fastitpn.errors import InputError
from fastitpn.runs.checkpoint import load_checkpoint
from fastitpn.tasks.pretrain.knn_probe import knn_accuracy, pooled_features


def unit(*rows):
    return torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float32), dim=-1)


def test_neighbours_vote():
    train = unit([1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]), torch.tensor([0, 0, 1, 1])
    val = unit([1, 0.2], [0.2, 1], [1, 0.3]), torch.tensor([0, 1, 1])
    assert knn_accuracy(train, val, neighbours=2, num_classes=2) == pytest.approx(2 / 3)
    assert knn_accuracy(train, val, neighbours=20, num_classes=2) == pytest.approx(2 / 3)  # the near ones count more


def test_features_are_means_of_length_1():
    backbone = nano(img_size=64, num_classes=0, global_pool="")
    images = randn(4, 3, 64, 64)
    batches = [{"image": part, "label": torch.tensor([1, 2])} for part in images.split(2)]
    features, labels = pooled_features(backbone, batches)
    with torch.no_grad():
        expected = torch.nn.functional.normalize(backbone.forward_features(images).flatten(1, 2).mean(1), dim=-1)
    torch.testing.assert_close(features, expected, atol=1e-5, rtol=1e-5)
    assert labels.tolist() == [1, 2, 1, 2]


@pytest.mark.drawn
def test_it_is_logged_every_so_many_epochs_and_in_the_report(scenes, tmp_path):
    keys = {**TRAINING, "steps": 6, "pictures": False}  # 12 images in batches of 4: an epoch is 3 steps
    probe = {"data": scenes.train, "every_epochs": 1, "neighbours": 3}
    run = fastitpn.pretrain(data=scenes.unlabelled, out=tmp_path / "run", probe=probe, **keys)
    rows = {row["step"]: row["knn_top1"] for row in run.history if row["split"] == "val"}
    assert list(rows) == [3, 6]
    sixths = [100 * right / 6 for right in range(7)]  # in percent, as every accuracy; half of the images are held out
    assert all(any(value == pytest.approx(sixth) for sixth in sixths) for value in rows.values())
    assert max(rows.values()) > 1
    assert run.metrics["knn_top1"] == rows[6]
    report = (run.directory / "report.html").read_text()
    assert "Nearest-neighbour accuracy" in report
    assert f"{rows[6]:.1f}" in report
    assert load_checkpoint(run.best_checkpoint)["step"] == 6  # the last one, whatever the probe says


def test_a_probe_without_labels_stops_before_the_first_step(scenes, tmp_path):
    with pytest.raises(InputError, match="no class sub-folders"):
        fastitpn.pretrain(data=scenes.unlabelled, out=tmp_path / "run", probe=scenes.unlabelled, **TRAINING)
    assert not (tmp_path / "run").exists()
