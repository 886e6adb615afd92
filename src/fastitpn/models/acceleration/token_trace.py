"""What token migration and token gathering did to each patch of an image, for pictures and for study."""

import dataclasses

import torch
from torch import Tensor, nn

from fastitpn.models.acceleration.gathering import Windows
from fastitpn.models.acceleration.migration import Step


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenTrace:
    """The way of every patch through stage 3. N = rows * columns of `grid`, in raster order."""

    grid: tuple[int, int]
    """Patches per column and per row (H/16, W/16)."""
    steps: tuple[int, ...]
    """After how many blocks of stage 3 tokens left."""
    left: Tensor
    """int64 [B, N]: at which step a patch left, from 1 on; 0: it stayed to the end."""
    match: Tensor
    """int64 [B, N]: the patch that one which left was matched with; -1 without a match."""
    windows: tuple[int, int]
    """Windows per column and per row; (1, 1) without gathering, and where one window covers the map."""
    window: Tensor
    """int64 [N]: the window of each patch, in raster order of windows."""
    gathered: Tensor
    """float [B, windows, N]: the share of their attention that a window's gathering tokens pay to each patch, mean over
    them, over heads and over windowed blocks (nothing in the blocks after it left). [B, 0, N] without gathering."""


class TokenRecorder:
    """Follows one pass through `attend_accelerated`.

    Args:
        steps: After how many blocks tokens may leave.
    """

    def __init__(self, steps: tuple[int, ...]):
        self.steps = steps

    def begin(self, windows: Windows, x: Tensor) -> None:
        """The map has been cut: x [B, W, n, D]."""
        self.windows = windows
        patches = torch.arange(1, windows.height * windows.width + 1, device=x.device)
        batch, count = x.shape[0], windows.height * windows.width
        self.patch = (windows.split(patches[None, :, None]).squeeze(3) - 1).expand(batch, -1, -1)  # -1: padding
        self.first_patch = self.patch
        self.left = torch.zeros(batch, count + 1, dtype=torch.long, device=x.device)  # a place more, for padding
        self.match = torch.full_like(self.left, -1)
        self.gathered = torch.zeros(batch, windows.num_windows, count + 1, device=x.device)
        self.num_gathered = 0

    def see_step(self, after_blocks: int, step: Step) -> None:
        """Tokens have left."""
        stay = step.stayed.shape[2]
        patch = self.patch.gather(2, step.order)
        stayed, left = patch[..., :stay], patch[..., stay:]
        self._write(self.left, left, torch.full_like(left, self.steps.index(after_blocks) + 1))
        if step.match is not None:
            self._write(self.match, left, stayed.gather(2, step.match))
        self.patch = stayed

    def see_gathering(self, block: nn.Module, x: Tensor, mask: Tensor | None, num_gathering: int) -> None:
        """A block is about to see windows x [B, W, G + n, D] with their gathering tokens."""
        q, k, _ = block.attn.project(block.norm1(x).flatten(0, 1))
        logits = q[:, :, :num_gathering].float() @ k.transpose(-1, -2).float() * q.shape[-1] ** -0.5
        if mask is not None:
            logits = logits + mask
        shares = logits.softmax(-1)[..., num_gathering:].mean((1, 2)).unflatten(0, x.shape[:2])  # [B, W, n]
        places = self.patch % self.gathered.shape[2]
        self.gathered += torch.zeros_like(self.gathered).scatter(2, places, shares)
        self.num_gathered += 1

    def trace(self) -> TokenTrace:
        """What was seen."""
        windows, count = self.windows, self.left.shape[1] - 1
        window = torch.zeros(count + 1, dtype=torch.long, device=self.left.device)
        for number, patches in enumerate(self.first_patch[0]):
            window[patches] = number
        gathered = self.gathered[..., :count] / max(1, self.num_gathered)
        return TokenTrace(
            grid=(windows.height, windows.width),
            steps=self.steps,
            left=self.left[:, :count],
            match=self.match[:, :count],
            windows=(windows.rows, windows.columns),
            window=window[:count],
            gathered=gathered if self.num_gathered > 0 else gathered[:, :0],
        )

    @staticmethod
    def _write(target: Tensor, patch: Tensor, value: Tensor) -> None:
        """Write values [B, W, L] at patches [B, W, L] of [B, N + 1]."""
        target.scatter_(1, patch.flatten(1) % target.shape[1], value.flatten(1))
