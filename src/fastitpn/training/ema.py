"""The moving average of the weights."""

from timm.utils import ModelEmaV3
from torch import nn


def moving_average(model: nn.Module, decay: float, *, foreach: bool = True) -> ModelEmaV3:
    """A moving average of the model's parameters and buffers, for evaluation; `.update(model, step)` moves it.

    The decay starts at 0 and grows with the step, `min(decay, 1 - step ** (-2 / 3))`, so that short runs are not
    averaged with the initial weights. It depends on the step alone: to resume, the averaged weights are enough.

    Args:
        model: On its device, before it is compiled.
        decay: Share of the average that a step keeps, in [0, 1).
        foreach: Move all tensors in one operation; not where only parameters are sharded and buffers are not.
    """
    average = ModelEmaV3(model, decay=decay, use_warmup=True, foreach=foreach)
    average.requires_grad_(False)
    return average
