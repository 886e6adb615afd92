"""AdamW with the published parameter groups: layer-wise learning rates, and no decay of biases and norms."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

FUSED_ON = ("cpu", "cuda")
"""Device types for which torch has one kernel for the whole update."""


def parameter_groups(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
    *,
    lr: float,
    weight_decay: float,
    layer_decay: float | None,
    layer_id: Callable[[str], int],
    num_layers: int,
    no_decay: Collection[str],
) -> list[dict[str, Any]]:
    """Groups of parameters that share a learning rate and a weight decay; frozen parameters are left out.

    The learning rate of layer `id` is scaled by `layer_decay ** (num_layers + 1 - id)`, so that the head, whose id is
    `num_layers + 1`, has the whole of it.

    Args:
        named_parameters: Names and parameters.
        lr: Peak learning rate.
        weight_decay: Of all that is decayed. Not decayed: `no_decay`, names ending in `bias`, and fewer than 2 dims.
        layer_decay: In (0, 1]; None to give all layers the same learning rate, without asking `layer_id`.
        layer_id: Layer of a parameter name, from 0 to `num_layers + 1`.
        num_layers: Layers below the head.
        no_decay: Full names, or last parts of names.

    Returns:
        Groups for an optimiser, each with its `lr_scale`, their parameters as pairs with their names.
    """
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in named_parameters:
        if not parameter.requires_grad:
            continue
        leaf = name.rpartition(".")[2]
        spared = parameter.ndim < 2 or leaf == "bias" or name in no_decay or leaf in no_decay
        decay = 0.0 if spared else weight_decay
        scale = 1.0 if layer_decay is None else layer_decay ** (num_layers + 1 - layer_id(name))
        group = groups.setdefault(
            (scale, decay), {"params": [], "lr": lr * scale, "lr_scale": scale, "weight_decay": decay}
        )
        group["params"].append((name, parameter))
    return list(groups.values())


def adamw(groups: list[dict[str, Any]], *, betas: tuple[float, float], fused: bool = True) -> AdamW:
    """AdamW (eps 1e-8) over `parameter_groups`, its parameters already on their device.

    Args:
        groups: Of `parameter_groups`.
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
