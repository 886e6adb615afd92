"""What is computed in windows: the map cut and joined again, gathering tokens, and who counts how much in attention."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.models.acceleration.gathering import Windows, padding_of


def split_map(x: Tensor, windows: Windows) -> Tensor:
    """Raster order to window order: [B, height * width, C] to [B, W, n, C], zeros where there is no patch."""
    x = x.unflatten(1, (windows.height, windows.width))
    down, right = padding_of(windows)
    if down > 0 or right > 0:
        x = F.pad(x, (0, 0, 0, right, 0, down))
    x = x.unflatten(2, (windows.columns, windows.window_width)).unflatten(1, (windows.rows, windows.window_height))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # from [B, rows, h, columns, w, C]


def join_map(x: Tensor, windows: Windows) -> Tensor:
    """The inverse of `split_map`: [B, W, n, C] to [B, height * width, C]."""
    x = x.unflatten(2, (windows.window_height, windows.window_width)).unflatten(1, (windows.rows, windows.columns))
    x = x.transpose(2, 3).flatten(3, 4).flatten(1, 2)  # [B, padded height, padded width, C]
    return x[:, : windows.height, : windows.width].flatten(1, 2)


def token_sizes(x: Tensor, windows: Windows) -> Tensor | None:
    """How many patches each of the split tokens x [B, W, n, C] stands for: [B, W, n], 1, and 0 for padding.

    None without any padding.
    """
    if padding_of(windows) == (0, 0):
        return None
    patches = torch.ones(1, windows.height * windows.width, 1, device=x.device)
    return split_map(patches, windows).squeeze(3).expand(x.shape[0], -1, -1)


class GatheringTokens(nn.Module):
    """What a model learns of its gathering tokens: what each of them looks for in its window, and what it begins with.

    All zeros at first, with which they are plain means.

    Args:
        dim: Channels of a token, D.
        count: Gathering tokens per window, G.
    """

    def __init__(self, dim: int, count: int, **dd: Any):
        super().__init__()
        self.queries = nn.Parameter(torch.zeros(count, dim, **dd))
        self.values = nn.Parameter(torch.zeros(count, dim, **dd))

    def weights(self, x: Tensor, sizes: Tensor | None, number: int) -> Tensor:
        """How much each of the tokens x [B, W, n, D] counts in the mean of a gathering token: [B, W, n], n together."""
        logits = (x @ (self.queries[number, :, None] * x.shape[-1] ** -0.5)).squeeze(-1)
        if sizes is None:
            return logits.softmax(-1) * x.shape[2]
        return (logits + sizes.clamp(min=1e-6).log()).softmax(-1) * x.shape[2] * (sizes > 0)


def gathering_tokens(x: Tensor, sizes: Tensor | None, count: int, learned: GatheringTokens | None = None) -> Tensor:
    """Newly born gathering tokens: each the mean of a run of its window's tokens, in their order.

    Args:
        x: [B, W, n, D], the tokens of W windows.
        sizes: [B, W, n], how many patches each stands for and counts as; None: all alike. No window may be empty.
        count: G, gathering tokens per window (`n` where that is less).
        learned: What the model learnt of them; None for plain means.

    Returns:
        [B, W, G, D]. The mean of the whole window where a share of it is nothing but padding.
    """
    n = x.shape[2]
    count = min(count, n)
    born = []
    for k in range(count):
        share = slice(k * n // count, (k + 1) * n // count)
        some = None if sizes is None else sizes[:, :, share]
        if learned is not None:
            some = learned.weights(x[:, :, share], some, k)
        token = mean_token(x[:, :, share], some)
        if sizes is not None and some is not None and count > 1:
            token = torch.where(some.sum(-1)[..., None, None] > 0, token, mean_token(x, sizes))
        born.append(token if learned is None else token + learned.values[k])
    return torch.cat(born, dim=2)


def mean_token(x: Tensor, sizes: Tensor | None) -> Tensor:
    """Mean over the last but one axis, [..., n, D] to [..., 1, D]; weighted by sizes [..., n] if given."""
    if sizes is None:
        return x.mean(-2, keepdim=True)
    weights = sizes / sizes.sum(-1, keepdim=True).clamp(min=1)
    return (x * weights.unsqueeze(-1).to(x.dtype)).sum(-2, keepdim=True)


def attention_mask(sizes: Tensor | None, groups: int, front: int, dtype: torch.dtype) -> Tensor | None:
    """What is added to the attention logits so that a key counts as often as the patches that it stands for.

    With logits q.k + log(size) a token of size 3 draws as much attention as three tokens alike; padding draws none.

    Args:
        sizes: [B, W, n], or None where all are 1.
        groups: Attention takes place in this many groups per image: W windows, or 1 for all of the map.
        front: Tokens in front of every group, of size 1.
        dtype: Type of the mask: that of the tokens.

    Returns:
        [B * groups, 1, 1, front + n'], as `Attention` takes it, or None.
    """
    if sizes is None:
        return None
    logits = sizes.reshape(sizes.shape[0] * groups, 1, 1, -1).log().to(dtype)
    return F.pad(logits, (front, 0)) if front > 0 else logits
