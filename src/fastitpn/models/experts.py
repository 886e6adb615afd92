"""A feed-forward network of experts in place of a block's SwiGLU, as in UETrack (a soft mixture of experts)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.layers.feed_forward import SwiGLU
from fastitpn.models.layers.norm import Norm
from fastitpn.models.trunk import Trunk


class SoftExperts(nn.Module):
    """Every expert works on slots, each a weighted mean of all tokens; every token gets a weighted mean of all slots.

    The tokens, filled up with zeros to a multiple of E, are cut into segments of E neighbours. From the mean of each
    segment a matrix makes one slot embedding per expert, RMS-normed. Their products with the tokens are the logits:
    softmax over tokens weighs what goes into a slot, softmax over slots what a token gets back.

    Args:
        dim: Channels D.
        hidden: Hidden width of each expert's SwiGLU.
        num_experts: E.
    """

    def __init__(self, dim: int, hidden: int, num_experts: int, device=None, dtype=None):
        super().__init__()
        dd = {"device": device, "dtype": dtype}
        self.gate_weight = nn.Parameter(torch.empty(num_experts, hidden, dim, **dd))
        self.gate_bias = nn.Parameter(torch.empty(num_experts, hidden, **dd))
        self.value_weight = nn.Parameter(torch.empty(num_experts, hidden, dim, **dd))
        self.value_bias = nn.Parameter(torch.empty(num_experts, hidden, **dd))
        self.hidden_norm = Norm(hidden, **dd)  # one for all experts
        self.fc2_weight = nn.Parameter(torch.empty(num_experts, dim, hidden, **dd))
        self.fc2_bias = nn.Parameter(torch.empty(num_experts, dim, **dd))
        self.slots = nn.Linear(dim, num_experts * dim, bias=False, **dd)
        self.slot_gamma = nn.Parameter(torch.ones(dim, **dd))
        nn.init.trunc_normal_(self.slots.weight, std=0.02)

    @property
    def num_experts(self) -> int:
        """E."""
        return self.gate_weight.shape[0]

    @torch.no_grad()
    def copy_from(self, network: SwiGLU) -> None:
        """Make every expert the given network; the slots' matrix stays as it is."""
        for name in ("gate", "value", "fc2"):
            layer = getattr(network, name)
            getattr(self, f"{name}_weight").copy_(layer.weight.expand(self.num_experts, -1, -1))
            getattr(self, f"{name}_bias").copy_(layer.bias.expand(self.num_experts, -1))
        self.hidden_norm.load_state_dict(network.norm.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, D] to [B, L, D]."""
        length, E = x.shape[1], self.num_experts
        x = F.pad(x, (0, 0, 0, -length % E))
        present = torch.arange(x.shape[1], device=x.device) < length
        counts = present.view(-1, E).sum(1)[:, None]
        means = x.unflatten(1, (-1, E)).sum(2) / counts  # [B, S segments, D]
        slots = self.slots(means).unflatten(2, (E, -1)).transpose(1, 2)  # [B, E, S, D]
        slots = F.normalize(slots, dim=-1) * x.shape[2] ** 0.5 * self.slot_gamma
        logits = x @ slots.flatten(1, 2).mT  # [B, L, E * S]
        taken = logits.masked_fill(~present[:, None], -torch.inf).softmax(1)
        y = (taken.mT @ x).unflatten(1, (E, -1))  # [B, E, S, D]
        gate = y @ self.gate_weight.mT + self.gate_bias[:, None]
        value = y @ self.value_weight.mT + self.value_bias[:, None]
        y = self.hidden_norm(F.silu(gate) * value) @ self.fc2_weight.mT + self.fc2_bias[:, None]
        return (logits.softmax(2) @ y.flatten(1, 2))[:, :length]


def add_experts(model: Trunk, block: int, num_experts: int) -> None:
    """Put experts into a block of stage 3, each a copy of its feed-forward network; UETrack has them in its last block.

    Args:
        model: A `FastITPN`; load released weights before, and a file that has experts after.
        block: 1 is the first of stage 3 (UETrack's `moe_layer` counts from 0).
        num_experts: UETrack: 2, 4 or 8.

    Raises:
        InputError: There is no such block, it has experts or no SwiGLU with a norm, or fewer than one is asked for.
    """
    blocks = model.stages[2].blocks if len(model.stages) == 3 else ()
    if not 1 <= block <= len(blocks) or num_experts < 1:
        raise InputError(
            f"{num_experts} experts in block {block}", expected=f"at least 1, in a block from 1 to {len(blocks)}"
        )
    network = blocks[block - 1].mlp
    if not isinstance(network, SwiGLU) or isinstance(network.norm, nn.Identity):
        raise InputError(
            f"block {block} has a {type(network).__name__}",
            expected="a SwiGLU with a norm inside, of which experts are copies",
        )
    weight = network.gate.weight
    experts = SoftExperts(weight.shape[1], weight.shape[0], num_experts, device=weight.device, dtype=weight.dtype)
    experts.copy_from(network)
    blocks[block - 1].mlp = experts.train(network.training)
