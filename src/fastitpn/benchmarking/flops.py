"""How much a forward pass computes."""

import contextlib
import copy
from collections.abc import Iterator

import torch
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fastitpn.benchmarking.conditions import entry_point
from fastitpn.models.layers import onednn


def count_gflops(model: nn.Module, px: int, in_chans: int = 3) -> float | None:
    """Floating-point operations for one image, in 1e9: matrix products, convolutions and attention.

    A multiply-add is two operations; many papers count it once. The pass runs on tensors without data.

    Args:
        model: On any device; it is not touched.
        px: Image size in pixels.
        in_chans: Channels of the input.

    Returns:
        None for a model that cannot run on tensors without data.
    """
    device = next(model.parameters()).device
    with FakeTensorMode() as mode, _plain_operators():
        known = {id(tensor): mode.from_tensor(tensor) for tensor in (*model.parameters(), *model.buffers())}
        twin = copy.deepcopy(model, known)
        with FlopCounterMode(display=False) as counter, torch.enable_grad():  # in inference the work comes in chunks
            try:
                entry_point(twin)(torch.empty(1, in_chans, px, px, device=device))
            except Exception:  # a peer's, whose speed can still be measured
                return None
    return counter.get_total_flops() / 1e9


@contextlib.contextmanager
def _plain_operators() -> Iterator[None]:
    """PyTorch's counter knows neither oneDNN's products nor every kind of fused attention."""
    before, onednn.ENABLED = onednn.ENABLED, False
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        onednn.ENABLED = before
