import pytest

from fastitpn.training.meter import Meter


def test_means_and_rates_of_the_steps_since_the_last_line():
    meter = Meter()
    meter.add({"loss": 1.0})
    meter.add({"loss": 3.0})
    meter.add_time(images=8, seconds=1.0, waited=0.5)
    meter.add_time(images=8, seconds=1.0, waited=0.0)
    assert meter.take() == {"loss": 2.0, "images_per_s": 8.0, "data_wait_ratio": 0.25}
    assert meter.take() == {}


def test_it_goes_on_after_a_restart():
    meter, resumed = Meter(), Meter()
    meter.add({"loss": 1.0})
    resumed.load_state(meter.state())
    resumed.add({"loss": 2.0})
    assert resumed.take()["loss"] == pytest.approx(1.5)
