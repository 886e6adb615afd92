import json
import shutil

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


def quality_of(run, data) -> Quality:
    return Quality(build(BenchmarkConfig, {"checkpoint": run.directory, "data": data, "workers": 0}))


def figures(run, data, candidates, px):
    return measure_quality(quality_of(run, data), candidates, px, build_fabric("cpu"))


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


@pytest.mark.parametrize(
    ("run", "data", "names"),
    [("detector_run", "detect_scenes", ("mask_ap", "box_ap")), ("panoptic_run", "panoptic_scenes", ("pq", "pq_stuff"))],
)
def test_all_metrics_of_the_task_are_measured(run, data, names, request, tmp_path):
    """AP of masks and boxes of a Mask R-CNN, and PQ of a panoptic network."""
    run, data = request.getfixturevalue(run), request.getfixturevalue(data)
    quality = quality_of(run, data)
    assert quality.metrics[0].name == names[0]
    measured = measure_quality(quality, OURS[:1], 64, build_fabric("cpu"))
    evaluation = fastitpn.evaluate(run.directory, data, px=64, device="cpu", workers=0, out=tmp_path / "evaluate")
    assert measured == {"off": evaluation.metrics}
    assert set(names) <= set(measured["off"])


def test_without_masks_a_detector_with_masks_is_measured_by_its_boxes(detector_run, detect_scenes, tmp_path):
    data = shutil.copytree(detect_scenes, tmp_path / "data")
    for file in data.rglob("*.json"):
        content = json.loads(file.read_text())
        for annotation in content["annotations"]:
            del annotation["segmentation"]
        file.write_text(json.dumps(content))
    measured = figures(detector_run, data, OURS[:1], 64)["off"]
    assert {name.split("_")[0] for name in measured} == {"box"}
