import io
import itertools

import pytest
from rich.console import Console

from fastitpn.benchmarking.config import BenchmarkConfig
from fastitpn.config import explain, usage
from fastitpn.tasks.classify.config import ClassifyConfig
from fastitpn.tasks.keys import PredictConfig
from fastitpn.tasks.pretrain.config import PretrainConfig


def table(config_class, width: int = 120) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(explain(config_class))
    return stream.getvalue()


def test_a_row_has_key_type_default_and_sentence():
    rows = [" ".join(line.split()) for line in table(PretrainConfig).splitlines()]
    assert "key type default meaning" in rows
    assert "px int >= 32, multiple of 224 Image size of the student in pixels; of several," in rows
    assert "loss_on masked | all masked Patches that count in the loss." in rows
    assert "workers int >= 0 2 Processes that load images, for each device; 0" in rows
    assert any(row.startswith("data path required ") for row in rows)
    assert any(row.startswith("clip_grad float > 0 | none 3.0 ") for row in rows)


CHOICE = "Choice in the file of weights"


def test_keys_are_grouped():
    lines = table(ClassifyConfig).splitlines()
    titles = [line.strip() for before, line in itertools.pairwise(lines) if not before.strip()]
    assert titles == ["Classification", "Crops", "Fine-tuning", "Training", "Images", "Run", CHOICE, "Machine"]


@pytest.mark.parametrize("width", [80, 200])
def test_keys_are_whole_at_any_width(width):
    assert "teacher.momentum_start" in table(PretrainConfig, width)


def test_usage():
    assert usage(PretrainConfig) == "fastitpn pretrain data=DATA [recipe=FILE.yaml] [key=value ...]"
    assert usage(BenchmarkConfig) == "fastitpn benchmark [CHECKPOINT] [recipe=FILE.yaml] [key=value ...]"
    assert usage(PredictConfig) == "fastitpn predict CHECKPOINT SOURCE [recipe=FILE.yaml] [key=value ...]"
