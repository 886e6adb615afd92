import pytest

import fastitpn
from fastitpn.benchmarking.candidates import Candidate
from fastitpn.benchmarking.quality import Quality
from fastitpn.config import BenchmarkConfig, build
from fastitpn.engine.devices import build_fabric
from fastitpn.errors import InputError
from fastitpn.models.acceleration import PRESETS, Acceleration
from fastitpn.models.gathering import Gathering

OURS = [Candidate(model="fastitpn_nano", acceleration=preset) for preset in PRESETS.values()]


def quality(run, data) -> Quality:
    return Quality(build(BenchmarkConfig, {"checkpoint": run.directory, "data": data, "workers": 0}))


def test_top1_is_that_of_evaluate(scenes, classifier_run, tmp_path):
    found = quality(classifier_run, scenes.val).measure([*OURS, Candidate(model="test_vit")], 64, build_fabric("cpu"))
    keys = {"px": 64, "device": "cpu", "workers": 0, "out": tmp_path / "evaluate"}
    assert found == {
        name: fastitpn.evaluate(classifier_run.directory, scenes.val, acceleration=name, **keys).metrics["top1"]
        for name in PRESETS
    }


def test_an_acceleration_that_does_not_fit_has_no_figure(scenes, classifier_run):
    wide = Candidate(model="fastitpn_nano", acceleration=Acceleration(gathering=Gathering(window=99)))
    assert list(quality(classifier_run, scenes.val).measure([OURS[0], wide], 32, build_fabric("cpu"))) == ["off"]


def test_no_classifier(scenes, pretrained_run):
    with pytest.raises(InputError, match="no trained classifier"):
        quality(pretrained_run, scenes.val)
