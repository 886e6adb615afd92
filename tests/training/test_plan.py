from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from fastitpn.config import build
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.training.plan import describe_plan, faster_keys

FABRIC = SimpleNamespace(device=torch.device("cpu"))


@pytest.mark.parametrize(
    ("keys", "length"),
    [
        ({"epochs": 1, "batch": 8}, "1 epoch = 14 steps of 8 images (batch 8)"),
        ({"epochs": 2.5, "batch": 8, "accumulate": 2}, "2.5 epochs = 17 steps of 16 images (batch 8 x accumulate 2)"),
        ({"steps": 1350, "batch": 8}, "100 epochs = 1,350 steps of 8 images (batch 8)"),
    ],
    ids=["epoch", "accumulate", "steps"],
)
def test_the_plan_names_model_size_length_device_and_folder(keys, length):
    config = build(ClassifyConfig, {"data": "photos", "out": "runs/x", **keys})
    plan = describe_plan(config, model="fastitpn_nano", px=128, num_images=108, fabric=FABRIC)
    assert plan == f"fastitpn_nano at 128 px, {length}, on cpu (32-true); out=runs/x"


@pytest.mark.parametrize(
    ("model", "px", "weights", "keys"),
    [
        ("fastitpn_nano", 128, None, ""),
        ("fastitpn_tiny", 224, None, "px=128 model=fastitpn_nano"),
        ("fastitpn_tiny", 224, Path("w.pt"), "px=128"),
    ],
    ids=["fast", "both", "weights"],
)
def test_keys_for_faster_steps(model, px, weights, keys):
    config = build(ClassifyConfig, {"data": "photos", "weights": weights})
    assert faster_keys(config, model=model, px=px) == keys
