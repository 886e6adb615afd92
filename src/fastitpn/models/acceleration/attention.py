"""Stage 3 with token migration, token gathering, or both."""

import torch
from timm.models import checkpoint
from torch import Tensor, nn

from fastitpn.models.acceleration.gathering import Windows, attention_mask, gathering_tokens
from fastitpn.models.acceleration.migration import Step, leave, put_back
from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.models.acceleration.token_trace import TokenRecorder


def attend_accelerated(
    blocks: nn.ModuleList,
    x: Tensor,
    height: int,
    width: int,
    acceleration: Acceleration,
    *,
    num_prefix: int = 0,
    checkpointed: bool = False,
    recorder: TokenRecorder | None = None,
) -> Tensor:
    """The attention blocks of stage 3, on fewer tokens and in windows.

    With gathering the map is put in window order once, and back once at the end; a global block sees the same tensor
    with its windows laid side by side, which moves nothing in memory.

    Args:
        blocks: `AttentionBlock`s.
        x: [B, P + N, D], with positions; N = height * width in raster order.
        height: Patches per column.
        width: Patches per row.
        acceleration: One that has been checked against the model.
        num_prefix: P, class tokens in front. They stay, and need a model without gathering.
        checkpointed: Recompute blocks in the backward pass.
        recorder: Is told what happens.

    Returns:
        [B, P + N, D], every token at its own place.
    """
    gathering, migration = acceleration.gathering, acceleration.migration
    depth, D = len(blocks), x.shape[-1]
    keep_ratios = {} if migration is None else migration.steps(depth)
    windows = Windows.cut(height, width, None if gathering is None else gathering.window)
    B, W = x.shape[0], windows.num_windows
    x = x.unsqueeze(1) if W == 1 else windows.split(x)  # [B, W, P + n, D]
    sizes = windows.sizes(x)
    if recorder is not None:
        recorder.begin(windows, x)

    steps: list[Step] = []
    runs = [(False, 0, depth)] if gathering is None or W == 1 else gathering.runs(depth)
    for windowed, first, last in runs:
        groups, front, num_gathering = (W if windowed else 1), num_prefix, 0
        if windowed and gathering is not None and gathering.tokens_per_window > 0:
            born = gathering_tokens(x, sizes, gathering.tokens_per_window)
            front = num_gathering = born.shape[2]
            x = torch.cat((born, x), dim=2)
        x = x.reshape(B, groups, -1, D)
        mask = attention_mask(sizes, groups, front, x.dtype)
        for number in range(first, last):
            if recorder is not None and num_gathering > 0:
                recorder.see_gathering(blocks[number], x, mask, num_gathering)
            if checkpointed:
                x = checkpoint(blocks[number], x, mask, num_gathering)
            else:
                x = blocks[number](x, mask, num_gathering)
            if migration is not None and keep_ratios.get(number + 1, 1) < 1:
                patches = x[:, :, front:].reshape(B, W, -1, D)
                step = leave(patches, sizes, migration, keep_ratios[number + 1], windows, complete=not steps)
                steps.append(step)
                sizes = step.sizes
                mask = attention_mask(sizes, groups, front, x.dtype)
                x = torch.cat((x[:, :, :front], step.stayed.reshape(B, groups, -1, D)), dim=2)
                if recorder is not None:
                    recorder.see_step(number + 1, step)
        x = x[:, :, num_gathering:].reshape(B, W, -1, D)

    prefix, x = x[:, :, :num_prefix], x[:, :, num_prefix:]
    for step in reversed(steps):
        x = put_back(step, x, migration.replenish)
    return torch.cat((prefix.squeeze(1), x.squeeze(1)), dim=1) if W == 1 else windows.join(x)
