"""The keys of segmentation."""

from pathlib import Path

import pytest

from fastitpn.config import parse
from fastitpn.data.segmentation.masked_images import MaskFolders
from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.errors import InputError
from fastitpn.tasks.segment.config import SegmentConfig, SegmentEvaluateConfig, SegmentPredictConfig
from fastitpn.tasks.segment.heads.linear import LinearKeys
from fastitpn.tasks.segment.heads.mask2former import Mask2FormerKeys
from fastitpn.tasks.segment.heads.upernet import UPerNetKeys


def test_defaults():
    config = parse(SegmentConfig, ["data=a"])
    assert config.head == UPerNetKeys(width=None, auxiliary_weight=0.4)
    assert (config.features, config.schedule, config.scale_range) == ("pyramid", "poly", (0.5, 2))
    assert (config.epochs, config.steps, config.on_error) == (100, None, "stop")
    assert "crop_scale" not in SegmentConfig.__dataclass_fields__


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["scale_range=2,1"], "scale_range: expected smallest,largest, got 2.0,1.0"),
        (["batch=1"], "batch: expected at least 2, since upernet normalises over the batch, got 1"),
        (["head=linear", "head.width=9"], "head.width: expected none, since head=linear makes no use of it"),
        (["head=mask2former", "head.width=48"], "head.width: expected a multiple of 32 for head=mask2former, got 48"),
        (["panoptic=true"], "head: expected mask2former or maskdino for panoptic=true, got upernet"),
        (
            ["head=mask2former", "class_weights=balanced"],
            "class_weights: expected none with head=mask2former, which learns one mask for each class of an image, got",
        ),
        (
            ["head=maskdino", "class_weights=balanced"],
            "class_weights: expected none with head=maskdino, which learns one mask for each class of an image, got",
        ),
        (["freeze=true"], "freeze: expected false without weights"),
        (["weights=a", "scratch=true"], "scratch: expected false where weights are given"),
        (["masks=/data/masks"], "masks: expected a folder inside of data, relative to it, got /data/masks"),
        (["masks.suffix=_m", "masks.pattern={stem}_m"], "masks.suffix: expected none where masks.pattern is given"),
        (["masks.pattern=mask"], r"masks.pattern: expected \{stem\} or \{name\} in it, once, got mask"),
        (["masks.values=0,0"], "masks.values: expected different numbers from 0 to 65535, got 0,0"),
        (["head=uppernet"], "head: expected .*, got 'uppernet'; did you mean upernet?"),
        (["min_lr=1", "lr=0.1"], "min_lr: expected at most lr"),
    ],
)
def test_what_does_not_go_together(words, text):
    with pytest.raises(InputError, match=text):
        parse(SegmentConfig, ["data=a", *words])


def test_heads_have_keys_of_their_own():
    words = ["head=mask2former", "head.queries=50", "head.width=64", "panoptic=true"]
    assert parse(SegmentConfig, ["data=a", *words]).head == Mask2FormerKeys(queries=50, width=64)


def test_earlier_spellings(tmp_path):
    words = ["head=mask2former", "queries=50", "head_width=64"]
    assert parse(SegmentConfig, ["data=a", *words]).head == Mask2FormerKeys(queries=50, width=64)
    recipe = tmp_path / "config.yaml"  # as earlier versions stored them, whatever the head
    recipe.write_text("data: a\nhead: linear\nhead_width: null\nqueries: 100\nauxiliary_weight: 0.4\n")
    assert parse(SegmentConfig, [f"recipe={recipe}"]).head == LinearKeys()


def test_which_files_are_masks_and_what_their_numbers_mean(tmp_path):
    config = parse(SegmentConfig, ["data=a", "masks=truth", "masks.suffix=_m", "masks.values=0,255"])
    folders = MaskFolders.of(config)
    assert (folders.masks, folders.pattern, folders.values) == (Path("truth"), "{stem}_m", (0, 255))
    assert MaskFolders.of(parse(DoctorConfig, ["a", "masks=truth", "masks.suffix=_m"])).pattern == "{stem}_m"
    recipe = tmp_path / "config.yaml"  # as earlier versions stored them
    for text, folder in (("masks: null", None), ("masks: truth", Path("truth"))):
        recipe.write_text(f"data: a\n{text}\n")
        assert parse(SegmentConfig, [f"recipe={recipe}"]).masks.folder == folder


def test_scales_are_any_number_of_values():
    assert parse(SegmentEvaluateConfig, ["run", "data", "scales=0.5,1,1.5"]).scales == (0.5, 1.0, 1.5)
    with pytest.raises(InputError, match="scales: expected values separated by commas, each a number greater than 0"):
        parse(SegmentPredictConfig, ["run", "data", "scales=0"])
