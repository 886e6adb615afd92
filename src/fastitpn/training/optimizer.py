"""AdamW with the published parameter groups: layer-wise learning rates, and no decay of biases and norms."""

from collections.abc import Collection
from typing import Any

from timm.optim import param_groups_layer_decay, param_groups_weight_decay
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

FUSED_ON = ("cpu", "cuda")
"""Device types for which torch has one kernel for the whole update."""


def parameter_groups(
    model: nn.Module, *, lr: float, weight_decay: float, layer_decay: float | None, no_decay: Collection[str]
) -> list[dict[str, Any]]:
    """Groups of parameters that share a learning rate and a weight decay, by timm; frozen parameters are left out.

    Args:
        model: With timm's `group_matcher` for its layers, and where it or its `backbone` has one, a
            `layer_decay_exponent` of the factor.
        lr: Peak learning rate.
        weight_decay: Rate of the decay. Not decayed: `no_decay`, names ending in `bias`, and fewer than 2 dims.
        layer_decay: In (0, 1], the factor from each layer to the one below it; None to give all the same learning rate.
        no_decay: Full names, or last parts of names.

    Returns:
        Groups for an optimiser, each with its `lr_scale`, their parameters as pairs with their names. Groups and
        parameters are in the order of the model, whatever the layers: stored optimisers have no other key.
    """
    spared = [pattern for name in ("bias", *no_decay) for pattern in (name, f"*.{name}")]
    if layer_decay is None:
        by_timm = param_groups_weight_decay(model, weight_decay, no_weight_decay_list=spared)
    else:
        factor = layer_decay ** getattr(getattr(model, "backbone", model), "layer_decay_exponent", 1.0)
        by_timm = param_groups_layer_decay(model, weight_decay, no_weight_decay_list=spared, layer_decay=factor)
    rates = {
        parameter: (group.get("lr_scale", 1.0), group["weight_decay"])
        for group in by_timm
        for parameter in group["params"]
    }
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter in rates:
            scale, decay = rates[parameter]
            group = {"params": [], "lr": lr * scale, "lr_scale": scale, "weight_decay": decay}
            groups.setdefault(rates[parameter], group)["params"].append((name, parameter))
    return list(groups.values())


def adamw(groups: list[dict[str, Any]], *, betas: tuple[float, float], fused: bool = True) -> AdamW:
    """AdamW (eps 1e-8) over `parameter_groups`, its parameters already on their device.

    Args:
        groups: What `parameter_groups` gave.
        betas: Decay of the two moments.
        fused: Use torch's fused kernel where the device has one. To be switched off with a gradient scaler, which
            could not tell then whether a gradient overflowed.
    """
    tensors: list[Tensor] = [parameter for group in groups for _, parameter in group["params"]]
    fused = fused and all(tensor.device.type in FUSED_ON for tensor in tensors)
    return AdamW(groups, betas=betas, fused=fused)


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    """Gives each group its share (`lr_scale`) of the step's learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]
