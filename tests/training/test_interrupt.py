import os
import signal
import threading

import pytest

from fastitpn.training import interrupt
from fastitpn.training.interrupt import Stopped, StopRequest


def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_only_asks(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.requested
        press(number)
        assert stop.requested
    assert signal.getsignal(number) is before


def test_a_signal_that_arrives_twice_at_once_counts_once_and_a_later_one_interrupts(monkeypatch):
    with StopRequest() as stop:
        press()
        press()
        assert stop.requested
        monkeypatch.setattr(interrupt, "REPEAT_S", 0.0)
        with pytest.raises(KeyboardInterrupt) as caught:
            press()
        assert caught.type is KeyboardInterrupt


def test_code_that_may_be_left_is_left_at_once():
    with StopRequest() as stop:
        with stop.at_once():
            pass
        with pytest.raises(Stopped), stop.at_once():
            press()
        with pytest.raises(Stopped), stop.at_once():
            pytest.fail("it was asked to stop before")
        with stop.at_once(enabled=False):
            pass


def test_deaths_of_workers_are_silent_once_asked_to_stop():
    def raise_for_dead_worker(number, frame):
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal")

    before = signal.signal(signal.SIGCHLD, raise_for_dead_worker)
    try:
        with StopRequest():
            press()
            press(signal.SIGCHLD)
        assert signal.getsignal(signal.SIGCHLD) is raise_for_dead_worker
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_in_another_thread_it_does_nothing():
    entered = []

    def enter():
        with StopRequest() as stop:
            entered.append(stop)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert not entered[0].requested
