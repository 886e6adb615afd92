"""What the script makes of its times; the files themselves are those of the export."""

import pytest
import torch

from benchmarks import runtimes

TIMES = {
    "reference": [0.4, 0.4, 0.4],
    "eager plain": [0.2, 0.2, 0.2],
    "openvino plain": [0.16, 0.1, 0.1],
    "openvino plain int8": [0.04, 0.05, 0.05],
    "openvino fast": [0.05, 0.05, 0.02],
    "openvino fast int8": [0.01, 0.02, 0.01],
}


def test_ratios_are_within_a_runtime_and_a_round() -> None:
    assert runtimes.comparisons(TIMES) == {
        "fast_over_plain": {"openvino": 3.2},
        "int8_over_fp32": {"openvino plain": 2.0, "openvino fast": 2.5},
    }


def test_the_summary_names_the_fastest_arm_in_fp32() -> None:
    arms = {name: {"ms": 1e3 * seconds[1]} for name, seconds in TIMES.items()}
    summary = runtimes.summary([{"px": 224, "arms": arms}])["summary"]
    assert summary["224 px, plain"] == {"fastest": "openvino plain", "ms": 100}
    assert summary["224 px, fast"] == {"fastest": "openvino fast", "ms": 50}


@pytest.mark.parametrize(
    ("name", "wrong"), [("openvino plain", True), ("openvino fast", True), ("onnx plain int8", False)]
)
def test_arms_that_compute_something_else_are_refused(name: str, wrong: bool) -> None:
    right, other = torch.ones(1, 3), torch.tensor([[1.0, 1.0, 1.001]])
    arms = {
        "reference": lambda: right,
        "eager plain": lambda: right,
        "eager fast": lambda: right,
        name: lambda: [other],
    }
    if wrong:
        with pytest.raises(SystemExit, match=rf"{name}: differs by 1\.0e-03, more than 1e-04"):
            runtimes.check(arms)
    else:
        runtimes.check(arms)
