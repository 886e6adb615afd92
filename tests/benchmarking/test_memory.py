import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from tiny_runs import ENVIRONMENT

from fastitpn.benchmarking.candidates import Candidate
from fastitpn.benchmarking.conditions import OUT_OF_MEMORY, Conditions
from fastitpn.benchmarking.memory import MIB, MemoryMeter, cuda_peak_mib
from fastitpn.models.acceleration.settings import PRESETS

NANO = Candidate(model="fastitpn_nano", acceleration=PRESETS["off"])
linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="this system does not tell")


@pytest.fixture(scope="module")
def meter() -> Iterator[MemoryMeter]:
    with MemoryMeter(Conditions()) as meter:
        yield meter


@linux
def test_weights_input_and_what_the_pass_holds(meter):
    small, problem = meter.measure(NANO, 64, 1)
    assert problem is None
    large, _ = meter.measure(NANO, 256, 16)
    peer, _ = meter.measure(Candidate(model="test_vit"), 96, 2)
    weights = 4 * 3.263128e6 / MIB
    assert weights < small < weights + 6
    images = 16 * 3 * 256 * 256 * 4 / MIB
    hidden = 16 * 256 * 3 * 192 * 4 / MIB  # SwiGLU of stage 3: its two branches are there at once
    assert weights + images + 2 * hidden < large < weights + images + 30 * hidden
    assert 0.5 < peer < 20


@linux
def test_more_than_there_is_ends_that_measurement_alone(meter):
    assert meter.measure(NANO, 4096, 100_000) == (None, OUT_OF_MEMORY)
    assert meter.measure(NANO, 64, 1)[0] > 0


@linux
def test_what_the_system_kills_was_out_of_memory():
    code = (
        "import os, signal; from fastitpn.benchmarking import memory_server as server\n"
        "server.measure = lambda request: os.kill(os.getpid(), signal.SIGKILL) if request else 5.0\n"
        "server.main()"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, input="[1]\n[]\n", env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.splitlines() == ['{"problem": "out of memory"}', '{"mib": 5.0}']


@linux
def test_a_model_that_fails_for_another_reason_has_no_figure(meter):
    assert meter.measure(Candidate(model="eva02_tiny_patch14_224"), 96, 1) == (None, None)


@linux
def test_without_the_process_there_is_no_figure():
    with MemoryMeter(Conditions()) as meter:
        meter._server.kill()
        meter._server.wait()
        assert meter.measure(NANO, 64, 1) == (None, None)


def test_elsewhere_there_is_no_process():
    with MemoryMeter(Conditions(device="mps")) as meter:
        assert meter.measure(NANO, 64, 1) == (None, None)


def test_on_cuda_what_lies_beside_does_not_count(monkeypatch):
    calls = []
    for name, value in (("synchronize", None), ("reset_peak_memory_stats", None), ("memory_allocated", 100 * MIB)):
        monkeypatch.setattr(torch.cuda, name, lambda name=name, value=value: calls.append(name) or value)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 130 * MIB)
    assert cuda_peak_mib(lambda: calls.append("run"), 20 * MIB) == 50
    assert calls.index("reset_peak_memory_stats") < calls.index("run")
