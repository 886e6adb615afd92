import math
from pathlib import Path

import pytest
from safetensors.torch import load_file

from fastitpn.training.schedule import learning_rate

GOLDEN = Path(__file__).parents[1] / "golden"


def test_equals_the_published_schedule():
    published = load_file(GOLDEN / "cosine_schedule.safetensors")["lr"].tolist()
    ours = [learning_rate(step, steps=70, lr=1e-4, min_lr=1e-6, warmup_steps=14) for step in range(70)]
    assert ours == pytest.approx(published, rel=1e-12, abs=0)


def test_without_warmup_it_begins_at_the_peak_and_ends_at_the_minimum():
    assert learning_rate(0, steps=10, lr=1.0, min_lr=0.1, warmup_steps=0) == 1.0
    assert learning_rate(5, steps=10, lr=1.0, min_lr=0.1, warmup_steps=0) == pytest.approx(0.55)
    assert learning_rate(10, steps=10, lr=1.0, min_lr=0.1, warmup_steps=0) == pytest.approx(0.1)
    assert learning_rate(15, steps=10, lr=1.0, min_lr=0.1, warmup_steps=0) == pytest.approx(0.1)


@pytest.mark.parametrize("warmup_steps", [1, 3, 4, 9])
def test_short_runs_have_finite_rates(warmup_steps):
    rates = [learning_rate(step, steps=4, lr=1.0, min_lr=0.0, warmup_steps=warmup_steps) for step in range(5)]
    assert rates[0] == 0.0
    assert all(math.isfinite(rate) and 0 <= rate <= 1 for rate in rates)


def test_poly_falls_in_a_straight_line_over_the_whole_run():
    rates = [learning_rate(step, steps=10, lr=1.0, min_lr=0.2, warmup_steps=0, schedule="poly") for step in range(12)]
    assert rates[:3] == pytest.approx([1.0, 0.92, 0.84])
    assert rates[10:] == pytest.approx([0.2, 0.2])


def test_the_warmup_of_poly_is_a_factor_on_the_line_as_published():
    keys = {"steps": 100, "lr": 1.0, "min_lr": 0.0, "schedule": "poly"}
    warm = [learning_rate(step, warmup_steps=10, **keys) for step in range(100)]
    line = [learning_rate(step, warmup_steps=0, **keys) for step in range(100)]
    assert warm[0] == pytest.approx(1e-6)
    assert warm[5] == pytest.approx(line[5] * (1 - 0.5 * (1 - 1e-6)))
    assert warm[10:] == line[10:]
    assert all(math.isfinite(learning_rate(step, warmup_steps=3, **{**keys, "steps": 2})) for step in range(3))


def test_step_drops_twice_as_published():
    """After epochs 27 and 33 of 36, and 9 and 11 of 12."""
    for epochs, drops in ((36, (27, 33)), (12, (9, 11))):
        keys = {"steps": 100 * epochs, "lr": 1.0, "min_lr": 0.0, "schedule": "step", "warmup_steps": 10}
        rates = [learning_rate(step, **keys) for step in range(100 * epochs)]
        assert rates[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
        first, second = (100 * epoch for epoch in drops)
        assert set(rates[10:first]) == {1.0}
        assert rates[first:second] == pytest.approx([0.1] * (second - first))
        assert rates[second:] == pytest.approx([0.01] * (100 * epochs - second))


@pytest.mark.parametrize(
    ("steps", "milestones", "drops"),
    [
        (1200, (11 / 12,), [1100]),  # DINO, after epoch 11 of 12
        (160_000, (27 / 32, 15 / 16), [135_000, 150_000]),  # MaskDINO on ADE20K
        (368_750, (8 / 9, 26 / 27), [327_778, 355_093]),  # MaskDINO on COCO, published as 327,778 and 355,092
    ],
)
def test_step_drops_at_the_milestones(steps, milestones, drops):
    keys = {"steps": steps, "lr": 1.0, "min_lr": 0.0, "warmup_steps": 0, "schedule": "step", "milestones": milestones}
    for number, drop in enumerate(drops):
        before, after = (learning_rate(step, **keys) for step in (drop - 1, drop))
        assert (before, after) == pytest.approx((0.1**number, 0.1 ** (number + 1)))
    assert learning_rate(0, **keys) == 1.0
    assert learning_rate(steps, **keys) == pytest.approx(0.1 ** len(drops))


def test_a_constant_rate_stays_after_its_warm_up_whatever_the_length():
    for steps in (5, 50):
        keys = {"lr": 1.0, "min_lr": 0.1, "warmup_steps": 3, "schedule": "constant"}
        assert [learning_rate(step, steps=steps, **keys) for step in range(5)] == [0, 0.5, 1, 1, 1]
