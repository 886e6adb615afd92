"""What was chosen is looked at again on test images."""

import shutil

import pytest

from fastitpn.runs.trained_model import open_checkpoint
from fastitpn.tasks.keys import EvaluateConfig
from fastitpn.tasks.loading import load_trained
from fastitpn.tuning.subject import Subject, open_subject
from fastitpn.tuning.verification import loss_on_test


@pytest.fixture(scope="module")
def data(scenes, tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    for part in ("val", "test"):
        shutil.copytree(scenes.val, folder / part)
    return folder


def opened(run, data, **keys) -> tuple[Subject, EvaluateConfig]:
    config = EvaluateConfig(checkpoint=run.directory, data=data, px=32, device="cpu", workers=0, **keys)
    return open_subject(open_checkpoint(run.directory), config, seed=0), config


def test_the_loss_on_test_is_that_of_its_images(classifier_run, data):
    subject, keys = opened(classifier_run, data)
    chosen = load_trained(classifier_run.directory, "fast").at(32)
    count = subject.quality.num_images
    expected = subject.quality.loss(chosen.acceleration, count)
    assert loss_on_test(subject, chosen, keys, seconds=1e9, seed=0) == expected  # the same images in both parts
    few = loss_on_test(subject, chosen, keys, seconds=0.0, seed=0)
    assert few.images == min(12, count)


@pytest.mark.parametrize("part", ["val", "nowhere"])
def test_without_another_part_there_is_none(classifier_run, data, part):
    keys = {} if part == "val" else {"split": "test"}
    subject, config = opened(classifier_run, data / "val" if part == "val" else data, **keys)
    chosen = load_trained(classifier_run.directory, "fast").at(32)
    assert loss_on_test(subject, chosen, config, seconds=1e9, seed=0) is None
