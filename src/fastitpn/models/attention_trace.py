"""To which patches a chosen token attends, for pictures and for study."""

import contextlib
import dataclasses
from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor, nn

from fastitpn.models.acceleration.migration import Step
from fastitpn.models.acceleration.token_trace import TokenRecorder


@dataclasses.dataclass(frozen=True, kw_only=True)
class AttentionTrace:
    """The attention of one token of one image. N = rows * columns of `grid`, in raster order."""

    grid: tuple[int, int]
    """Patches per column and per row (H/16, W/16)."""
    token: int
    """The token that was looked from, 0 to N - 1."""
    shares: Mapping[int, Tensor]
    """Block, 1 being the first, to float [heads, N]: the share of the attention of each head that goes to each patch.
    What is missing to 1 goes to a class token or to gathering tokens. Blocks that the token has left are absent."""
    left_after: int | None
    """The block after which the token left (migration); None: it stayed."""


class AttentionRecorder(TokenRecorder):
    """Follows one token of one image through stage 3.

    Args:
        blocks: `AttentionBlock`s.
        token: Which, in raster order.
        watched: Blocks to record, 1 being the first.
    """

    def __init__(self, blocks: nn.ModuleList, token: int, watched: Collection[int]):
        super().__init__(())
        self.blocks = blocks
        self.token = token
        self.watched = watched
        self.shares: dict[int, Tensor] = {}
        self.left_after: int | None = None

    def begin_plain(self, num_patches: int, device: torch.device) -> None:
        """Stage 3 without acceleration: all patches in one window, none leaves."""
        self.patch = torch.arange(num_patches, device=device)[None, None]
        self.num_patches = num_patches

    def begin(self, windows, x: Tensor) -> None:
        """The map has been cut."""
        super().begin(windows, x)
        self.num_patches = windows.height * windows.width

    def see_step(self, after_blocks: int, step: Step) -> None:
        """Tokens have left."""
        self.patch = self.patch.gather(2, step.order)[..., : step.stayed.shape[2]]
        if self.left_after is None and not (self.patch == self.token).any():
            self.left_after = after_blocks

    def see_gathering(self, block: nn.Module, x: Tensor, mask: Tensor | None, num_gathering: int) -> None:
        """Of no interest here."""

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """While it lasts, the attention of the watched blocks is recorded."""
        hooks = [
            block.attn.register_forward_pre_hook(self._listener(number), with_kwargs=True)
            for number, block in enumerate(self.blocks, start=1)
            if number in self.watched
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _listener(self, number: int):
        def listen(attention: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
            mask = inputs[1] if len(inputs) > 1 else named.get("mask")
            if number not in self.shares:  # a second pass in the same block is that of the gathering tokens
                self._record(number, attention, inputs[0], mask)

        return listen

    def _record(self, number: int, attention: nn.Module, x: Tensor, mask: Tensor | None) -> None:
        q, k, _ = attention.project(x.flatten(0, -3))  # [groups, heads, front + n, head_dim]
        groups = q.shape[0]
        patch = self.patch.reshape(groups, -1)
        place = (patch == self.token).nonzero()
        if not len(place):
            return
        group, column = place[0].tolist()
        front = q.shape[2] - patch.shape[1]
        logits = (q[group, :, None, front + column] @ k[group].transpose(-1, -2))[:, 0].float() * q.shape[-1] ** -0.5
        for added in (mask, None if attention.rel_pos_bias is None else attention.rel_pos_bias()):
            if added is not None:
                row = added.expand(groups, q.shape[1], q.shape[2], q.shape[2])[group, :, front + column]
                logits = logits.masked_fill(~row, -torch.inf) if row.dtype == torch.bool else logits + row
        shares = logits.softmax(-1)[:, front:]
        result = torch.zeros(len(shares), self.num_patches + 1, device=x.device)  # a place more, for padding
        result[:, patch[group] % (self.num_patches + 1)] = shares
        self.shares[number] = result[:, :-1]
