import pytest

from fastitpn import create_model
from fastitpn.application.timing import timed
from fastitpn.models.acceleration.settings import PRESETS


@pytest.fixture
def backbone():
    return create_model("fastitpn_nano", img_size=32).eval()


def test_both_take_turns_and_the_model_keeps_the_acceleration(backbone):
    seen = []
    result, timing = timed(lambda: seen.append(backbone.acceleration.name) or len(seen), backbone, PRESETS["fast"])
    assert seen[:4] == ["off", "fast"] * 2
    assert result == len(seen) == 2 * (timing.rounds + 1)  # the first round warms up
    assert backbone.acceleration == PRESETS["fast"]
    assert timing.ratio == timing.plain_ms / timing.ms


def test_the_plain_model_has_no_rival(backbone):
    seen = []
    _, timing = timed(lambda: seen.append(backbone.acceleration.name), backbone, PRESETS["off"])
    assert set(seen) == {"off"}
    assert timing.ratio == 1


def test_the_slower_one_is_told(backbone):
    import time

    def run():
        time.sleep(0.001 if backbone.acceleration.off else 0.02)

    _, timing = timed(run, backbone, PRESETS["balanced"])
    assert timing.ratio < 0.7
    assert 20 <= timing.ms < 200
