"""The best that the machine does in matrix products, by the same library as the model."""

import torch
import torch.nn.functional as F

from fastitpn.benchmarking.conditions import Conditions
from fastitpn.benchmarking.timing import Stopwatch
from fastitpn.models.layers.onednn import linear

CPU_SIZES = ((1024, 1024, 1024), (2048, 512, 1536))
"""Rows, inputs, outputs: large enough to be at the peak of a core, small enough to repeat."""
GPU_SIZES = ((8192, 8192, 8192), (16384, 4096, 4096))


class MatmulPeak:
    """Products that are timed in turn with the models, so that slow moments of the machine touch both alike.

    Args:
        conditions: Their device and number format.
        stopwatch: Times a call on the device, in seconds.

    Attributes:
        gflops: The fastest so far, in 1e9 operations per second.
    """

    def __init__(self, conditions: Conditions, stopwatch: Stopwatch):
        on_cpu = torch.device(conditions.device).type == "cpu"
        self.gflops = 0.0
        self._stopwatch = stopwatch
        self._ways = (linear, F.linear) if on_cpu else (F.linear,)  # oneDNN's and MKL's; the faster one counts
        self._products = [
            (
                torch.randn(rows, inputs, device=conditions.device, dtype=conditions.dtype),
                torch.randn(outputs, inputs, device=conditions.device, dtype=conditions.dtype),
            )
            for rows, inputs, outputs in (CPU_SIZES if on_cpu else GPU_SIZES)
        ]

    @torch.inference_mode()
    def sample(self) -> None:
        """Time every product once."""
        for x, weight in self._products:
            for way in self._ways:
                seconds = self._stopwatch(lambda way=way, x=x, weight=weight: way(x, weight))  # type: ignore[misc]
                self.gflops = max(self.gflops, 2e-9 * x.shape[0] * x.shape[1] * weight.shape[0] / seconds)
