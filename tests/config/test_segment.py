"""The keys of segmentation."""

import pytest

from fastitpn.config import parse
from fastitpn.tasks.keys import EvaluateConfig, PredictConfig
from fastitpn.tasks.segment.config import SegmentConfig
from fastitpn.tasks.segment.config import MasksConfig, ViewsConfig, given_keys
from fastitpn.errors import InputError


def test_defaults():
    config = parse(SegmentConfig, ["data=a"])
    assert (config.head, config.features, config.schedule, config.scale_range) == (
        "upernet",
        "pyramid",
        "poly",
        (0.5, 2),
    )
    assert (config.epochs, config.steps, config.on_error) == (100, None, "stop")
    assert "crop_scale" not in SegmentConfig.__dataclass_fields__


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["scale_range=2,1"], "scale_range: expected smallest,largest, got 2.0,1.0"),
        (["batch=1"], "batch: expected at least 2, since upernet normalises over the batch, got 1"),
        (["head=linear", "head_width=9"], "head_width: expected none for head=linear, which has no width, got 9"),
        (["head=mask2former", "head_width=48"], "head_width: expected a multiple of 32 for head=mask2former, got 48"),
        (["freeze=true"], "freeze: expected false without weights"),
        (["weights=a", "scratch=true"], "scratch: expected false where weights are given"),
        (["masks=/data/masks"], "masks: expected a folder inside of data, relative to it, got /data/masks"),
        (["head=uppernet"], "head: expected .*, got 'uppernet'; did you mean upernet?"),
        (["min_lr=1", "lr=0.1"], "min_lr: expected at most lr"),
    ],
)
def test_what_does_not_go_together(words, text):
    with pytest.raises(InputError, match=text):
        parse(SegmentConfig, ["data=a", *words])


def test_scales_are_any_number_of_values():
    assert parse(EvaluateConfig, ["run", "data", "scales=0.5,1,1.5"]).scales == (0.5, 1.0, 1.5)
    with pytest.raises(InputError, match="scales: expected values separated by commas, each a number greater than 0"):
        parse(PredictConfig, ["run", "data", "scales=0"])


def test_keys_that_were_given():
    config = parse(EvaluateConfig, ["run", "data", "flip=true", "masks=a", "px=64"])
    assert given_keys(config, MasksConfig) == ["masks"]
    assert given_keys(config, ViewsConfig) == ["flip"]
