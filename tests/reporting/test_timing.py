"""How long things took."""

import pytest

from fastitpn.reporting.timing import evaluation_time, timing_section, training_time


def row(step: int, speed: float, waited: float = 0.0, memory: float = 512.0, split: str = "train") -> dict:
    return {"step": step, "split": split, "images_per_s": speed, "data_wait_ratio": waited, "memory_mib": memory}


def test_the_time_of_a_training_is_the_sum_over_its_rows():
    history = [row(10, 80.0, 0.5), row(10, 1.0, split="val"), row(30, 40.0, memory=2048.0)]  # 1 s and 4 s at 8 images
    assert training_time(history, 8) == {
        "training": "5.0 s for 30 steps",
        "images per second": "48",
        "waiting for data": "10% of it",
        "peak memory": "2.0 GiB",
    }


@pytest.mark.parametrize("history", [[], [{"step": 5, "split": "train", "loss": 1.0}]])
def test_a_log_without_times_says_nothing(history):
    assert training_time(history, 8) == {}
    assert timing_section(training_time(history, 8), evaluation_time(0.0, 5)) == []


def test_both_are_one_section():
    [section] = timing_section(training_time([row(10, 80.0)], 8), evaluation_time(2.0, 5))
    assert section.title == "Timing"
    assert section.facts["evaluation"] == "2.0 s for 5 images (2.5 a second)"
