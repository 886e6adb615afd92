import pytest
import torch

from fastitpn.benchmarking import matmul_peak
from fastitpn.benchmarking.conditions import Conditions
from fastitpn.benchmarking.matmul_peak import MatmulPeak
from fastitpn.benchmarking.timing import stopwatch_for


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(matmul_peak, "CPU_SIZES", ((100, 50, 20), (10, 10, 10)))


def test_the_fastest_product_counts():
    seconds = iter([2.0, 1.0, 0.5, 0.5, 0.1, 1.0, 1.0, 1.0])
    peak = MatmulPeak(Conditions(), lambda run: run() is None or next(seconds))
    peak.sample()
    assert peak.gflops == pytest.approx(2e-9 * 100 * 50 * 20)
    peak.sample()
    assert peak.gflops == pytest.approx(2e-9 * 100 * 50 * 20 / 0.1)


def test_products_are_those_of_the_model():
    """In its number format, and by each library that it might use."""
    outputs = []
    MatmulPeak(Conditions(precision="bf16-mixed"), lambda run: outputs.append(run()) or 1.0).sample()
    assert [(tuple(output.shape), output.dtype) for output in outputs] == [
        ((100, 20), torch.bfloat16),
        ((100, 20), torch.bfloat16),
        ((10, 10), torch.bfloat16),
        ((10, 10), torch.bfloat16),
    ]


def test_a_real_one():
    peak = MatmulPeak(Conditions(), stopwatch_for("cpu"))
    peak.sample()
    assert 0 < peak.gflops < 1e6
