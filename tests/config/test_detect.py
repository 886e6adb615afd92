"""The keys of detection."""

import pytest

from fastitpn.config import build, parse, to_dict
from fastitpn.errors import InputError
from fastitpn.tasks.detect.config import DetectConfig, DetectEvaluateConfig, DetectPredictConfig
from fastitpn.tasks.detect.heads.registry import DETECTORS


def test_defaults():
    config = parse(DetectConfig, ["data=a"])
    assert (config.detector.name, config.px, config.max_px, config.multi_scale, config.jitter) == (
        "mask_rcnn",
        *(None,) * 4,
    )
    assert (config.epochs, config.steps, config.on_error, config.schedule) == (50, None, "stop", "cosine")
    assert parse(DetectConfig, ["data=a", "multi_scale=480,640", "detector=dino"]).multi_scale == (480, 640)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["px=64", "max_px=32"], "max_px: expected at least px, which is 64, got 32"),
        (["multi_scale=16,64"], "multi_scale: expected image sizes of at least 32, got 16"),
        (["multi_scale=64", "jitter=0.5,2"], "multi_scale: expected only one of multi_scale and jitter, got both"),
        (["jitter=2,1"], "jitter: expected smallest,largest, got 2.0,1.0"),
        (["max_px=64", "jitter=1,2"], "max_px: expected none with jitter"),
        (["queries=9", "layers=2"], "(?s)queries: expected none, .*layers: expected none, "),
        (["detector.queries=9"], "detector.queries: expected none, since detector=mask_rcnn makes no use of it"),
        (["detector=dino", "anchor_scale=4"], "anchor_scale: expected none, since detector=dino makes no use of it"),
        (
            ["detector=mask2former", "regions=9"],
            "regions: expected none, since detector=mask2former makes no use of it",
        ),
        (["milestones=0.5"], "milestones: expected none with schedule=cosine, which drops nowhere"),
        (
            ["schedule=step", "milestones=15/16,3/4"],
            "milestones: expected each above the one before it, got 0.9375,0.75",
        ),
        (["schedule=step", "milestones=1/0"], "milestones: expected .* a number between 0 and 1, both excluded"),
        (["weights=a", "scratch=true"], "scratch: expected false where weights are given"),
        (["detector=mask_rcn"], "detector: expected .*, got 'mask_rcn'; did you mean mask_rcnn?"),
    ],
)
def test_what_does_not_go_together(words, text):
    with pytest.raises(InputError, match=text):
        parse(DetectConfig, ["data=a", *words])


MLPS = {"box_head": "mlp", "box_loss": "smooth_l1", "region_loss": "smooth_l1", "sampling": 2}
DINO = {"neck": "pyramid", "denoising": 100, "box_noise": 1.0}


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (
            ["detector=mask_rcnn"],
            {
                "anchor_scale": 6.4,
                "regions": 410,
                "proposals": 800,
                "box_width": 1024,
                "mask_width": 256,
                **MLPS,
            },
        ),
        (
            ["detector=faster_rcnn", "detector.anchor_scale=5", "detector.regions=99"],
            {"anchor_scale": 5.0, "regions": 99, "proposals": 800, "box_width": 1024, **MLPS},
        ),
        (["detector=dino"], {"width": 256, **DINO, "queries": 300, "encoder_layers": 6, "decoder_layers": 6}),
        (
            ["detector=dino", "detector.queries=9", "detector.layers=2", "detector.width=64"],
            {"width": 64, **DINO, "queries": 9, "encoder_layers": 2, "decoder_layers": 2},
        ),
        (["detector=mask2former"], {"width": 256, "queries": 100, "points": 12544}),
        (
            ["detector=mask2former", "detector.layers=2"],
            {"width": 256, "queries": 100, "points": 12544, "encoder_layers": 2, "decoder_layers": 2},
        ),
    ],
)
def test_what_a_detector_is_made_with(words, arguments):
    keys = parse(DetectConfig, ["data=a", *words]).detector
    assert DETECTORS[keys.name].arguments(keys, 256, 640) == arguments


def test_keys_of_a_detector_were_those_of_the_training(caplog):
    old = parse(DetectConfig, ["data=a", "detector=dino", "queries=20", "layers=1"])
    assert "queries: deprecated, now detector.queries" in caplog.text
    assert old == build(DetectConfig, {"data": "a", "detector": {"name": "dino", "queries": 20, "layers": 1}})
    assert to_dict(old)["detector"] == {"name": "dino", "queries": 20, "layers": 1, "width": None, **DINO}
    unset = parse(DetectConfig, ["data=a", "queries=none", "layers=none", "anchor_scale=none", "regions=none"])
    assert unset == parse(DetectConfig, ["data=a"])


def test_evaluation_and_prediction_have_its_keys():
    assert parse(DetectEvaluateConfig, ["run", "data", "max_px=640", "images=/photos"]).max_px == 640
    assert parse(DetectPredictConfig, ["run", "data", "min_score=0.5", "px=320"]).min_score == 0.5
    with pytest.raises(InputError, match="min_score: expected"):
        parse(DetectPredictConfig, ["run", "data", "min_score=2"])
