import pytest

import fastitpn
from fastitpn.benchmarking.candidates import Candidate
from fastitpn.benchmarking.config import BenchmarkConfig
from fastitpn.benchmarking.quality import Quality, measure_quality
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.settings import PRESETS, Acceleration
from fastitpn.training.processes.devices import build_fabric

OURS = [Candidate(model="fastitpn_nano", acceleration=preset) for preset in PRESETS.values()]


def figures(run, data, candidates, px):
    quality = Quality(build(BenchmarkConfig, {"checkpoint": run.directory, "data": data, "workers": 0}))
    return measure_quality(quality, candidates, px, build_fabric("cpu"))


def test_metrics_of_a_classifier_are_those_of_evaluate(scenes, classifier_run, tmp_path):
    found = figures(classifier_run, scenes.val, [*OURS, Candidate(model="test_vit")], 64)
    keys = {"px": 64, "device": "cpu", "workers": 0, "out": tmp_path / "evaluate"}
    assert found == {
        name: fastitpn.evaluate(classifier_run.directory, scenes.val, acceleration=name, **keys).metrics
        for name in PRESETS
    }


def test_metrics_of_a_segmentation_are_those_of_evaluate(segment_scenes, segmenter_run, tmp_path):
    found = figures(segmenter_run, segment_scenes, OURS, 64)
    keys = {"px": 64, "device": "cpu", "workers": 0, "out": tmp_path / "evaluate"}
    assert found == {
        name: fastitpn.evaluate(segmenter_run.directory, segment_scenes, acceleration=name, **keys).metrics
        for name in PRESETS
    }


def test_an_acceleration_that_does_not_fit_has_no_figure(scenes, classifier_run):
    wide = Candidate(model="fastitpn_nano", acceleration=Acceleration(gathering=Gathering(window=99)))
    assert list(figures(classifier_run, scenes.val, [OURS[0], wide], 32)) == ["off"]


def test_no_classifier(scenes, pretrained_run):
    with pytest.raises(InputError, match="a checkpoint of the task 'pretrain' has nothing to evaluate"):
        figures(pretrained_run, scenes.val, OURS, 32)
