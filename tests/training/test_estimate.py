import pytest

from fastitpn.training import estimate
from fastitpn.training.estimate import SlowRunWarning


@pytest.mark.parametrize(
    ("steps", "epochs", "seconds", "says"),
    [
        (1000, 10, 3.5, None),
        (
            1000,
            10,
            3.7,
            "about 62 minutes, 3.7 s a step; for less: Ctrl-C, then the same command with another out= and ",
        ),
        (22_000, 78, 4.2, "about 26 hours, 4.2 s a step"),
        (22_000, 78, 4.2, "epochs=3 (about an hour) or px=128"),
        (22_000, 2, 4.2, "steps=857 (about an hour) or px=128"),
    ],
    ids=["short", "an-hour", "hours", "fewer-epochs", "less-than-an-epoch"],
)
def test_what_is_said_of_a_run(steps, epochs, seconds, says):
    text = SlowRunWarning(steps=steps, epochs=epochs, faster="px=128").text(seconds)
    assert text is None if says is None else says in text


def test_it_is_said_once_after_four_steps_of_which_the_first_does_not_count(monkeypatch):
    clock = iter([100.0, 112.0])
    monkeypatch.setattr(estimate.time, "perf_counter", lambda: next(clock))
    warning = SlowRunWarning(steps=1800, epochs=9, faster="")
    said = [warning.step_done() for _ in range(6)]
    assert said[:3] + said[4:] == [None] * 5
    assert "about 2 hours, 4 s a step" in said[3]
