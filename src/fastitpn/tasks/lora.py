"""LoRA through peft: the linear layers of the trunk keep their weights, and learn a low-rank change of them.

The trunk reads the weights of many of its layers itself, to compute several at once. So an adapted layer gives the sum
of weight and change as its `weight`, in place of adding the change to its output, as peft does.
"""

import functools
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.layers.onednn import linear

SCALE = 2.0
"""Factor on the product of the two matrices: peft's `lora_alpha` over the rank."""
_LAYERS = r"stages\..*\.(qkv|proj|fc1|fc2|gate|value)"
NO_TRUNK = ("pyramid", "fc_norm", "head", "scorers", "gathering_tokens")
"""Parts of a backbone that learn as they would without: what is on its trunk, and what an acceleration learns."""
_BASE, _DOWN, _UP = ".base_layer.weight", ".lora_A.default.weight", ".lora_B.default.weight"


def add_lora(backbone: FastITPN, rank: int) -> None:
    """Puts an adapter on each linear layer of the trunk's blocks; nothing else of the trunk learns.

    Args:
        backbone: With its start weights.
        rank: Rows of the smaller matrices.

    Raises:
        InputError: peft is not installed.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise InputError(
            "peft is not installed", where="lora", expected="the package peft", fix="pip install 'fastitpn[lora]'"
        ) from error
    for name, module in backbone.named_children():
        if name not in NO_TRUNK:
            module.requires_grad_(False)
    for parameter in backbone.parameters(recurse=False):
        parameter.requires_grad_(False)
    learns = [(parameter, parameter.requires_grad) for parameter in backbone.parameters()]
    config = LoraConfig(r=rank, lora_alpha=int(SCALE * rank), target_modules=_LAYERS, lora_dropout=0.0)
    config._register_custom_module({nn.Linear: _summed_linear()})
    inject_adapter_in_model(config, backbone)
    for parameter, before in learns:  # peft stops all that is no adapter
        parameter.requires_grad_(before)


def merged(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a network with adapters, as those of the network without: each change is added to its layer.

    Args:
        weights: By their names in the network with adapters.
    """
    result = {}
    for name, tensor in weights.items():
        layer = name.removesuffix(_BASE)
        if name.endswith(_BASE):
            tensor = tensor + (weights[layer + _UP] @ weights[layer + _DOWN]) * SCALE
        if not name.endswith((_DOWN, _UP)):
            result[name.replace(".base_layer.", ".")] = tensor
    return result


@functools.cache
def _summed_linear() -> Any:
    from peft.tuners.lora import Linear

    class SummedLinear(Linear):
        """A linear layer whose `weight` has the change in it."""

        @property
        def weight(self) -> Tensor:
            weight: Any = self.get_base_layer().weight
            for name in self.lora_A:
                weight = weight + self.get_delta_weight(name)
            return weight

        def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
            return linear(x, self.weight, self.bias)

    return SummedLinear
