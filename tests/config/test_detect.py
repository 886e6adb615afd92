"""The keys of detection."""

import pytest

from fastitpn.config import parse
from fastitpn.tasks.detect.config import DetectConfig
from fastitpn.tasks.keys import EvaluateConfig, PredictConfig
from fastitpn.errors import InputError


def test_defaults():
    config = parse(DetectConfig, ["data=a"])
    assert (config.detector, config.px, config.max_px, config.multi_scale, config.jitter) == (
        "mask_rcnn",
        *(None,) * 4,
    )
    assert (config.epochs, config.steps, config.on_error, config.schedule) == (50, None, "stop", "cosine")
    assert parse(DetectConfig, ["data=a", "multi_scale=480,640", "detector=dino"]).multi_scale == (480, 640)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["px=64", "max_px=32"], "max_px: expected at least px, which is 64, got 32"),
        (["multi_scale=16,64"], "multi_scale: expected sides of at least 32, got 16"),
        (["multi_scale=64", "jitter=0.5,2"], "multi_scale: expected only one of multi_scale and jitter, got both"),
        (["jitter=2,1"], "jitter: expected smallest,largest, got 2.0,1.0"),
        (["max_px=64", "jitter=1,2"], "max_px: expected none with jitter"),
        (["queries=9", "layers=2"], "(?s)queries: expected none, .*layers: expected none, "),
        (["detector=dino", "anchor_scale=4"], "anchor_scale: expected none, since detector=dino makes no use of it"),
        (
            ["detector=mask2former", "regions=9"],
            "regions: expected none, since detector=mask2former makes no use of it",
        ),
        (["weights=a", "scratch=true"], "scratch: expected false where weights are given"),
        (["detector=mask_rcn"], "detector: expected .*, got 'mask_rcn'; did you mean mask_rcnn?"),
    ],
)
def test_what_does_not_go_together(words, text):
    with pytest.raises(InputError, match=text):
        parse(DetectConfig, ["data=a", *words])


def test_evaluation_and_prediction_have_its_keys():
    assert parse(EvaluateConfig, ["run", "data", "max_px=640", "images=/photos"]).max_px == 640
    assert parse(PredictConfig, ["run", "data", "min_score=0.5", "px=320"]).min_score == 0.5
    with pytest.raises(InputError, match="min_score: expected"):
        parse(PredictConfig, ["run", "data", "min_score=2"])
