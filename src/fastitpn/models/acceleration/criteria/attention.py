"""The tokens that got the least attention in the block before the step leave (EViT, Liang et al., 2022).

EViT takes the attention of the class token, mean over the heads. A model without one has no token that speaks for the
image: there it is the mean over all queries. The attention is computed again from what went into the block, since the
fused kernels keep none of it.
"""

from typing import TYPE_CHECKING

from torch import Tensor

from fastitpn.models.acceleration.criteria.base import Choice, Criterion, Tokens, in_float32

if TYPE_CHECKING:
    from fastitpn.models.layers.attention import AttentionBlock


class Attention(Criterion):
    """Attention received."""

    needs_attention = True

    def choose(self, tokens: Tokens) -> Choice:
        """By the attention that a token got: those with the least leave."""
        assert tokens.attention is not None
        return Choice(-tokens.attention)


def received_attention(
    block: "AttentionBlock", x: Tensor, mask: Tensor | None, *, front: int, num_prefix: int
) -> Tensor:
    """The share of a block's attention that each patch gets, mean over heads, and over queries without a class token.

    Args:
        block: The block.
        x: [B, G, front + n, D], what went into it; attention takes place in G groups.
        mask: What was added to its logits.
        front: Tokens in front of the patches.
        num_prefix: How many of these are class tokens.

    Returns:
        [B, G, n].
    """
    queries, keys, _ = block.attn.project(block.norm1(x).flatten(0, 1))
    queries = queries[:, :, :1] if num_prefix else queries
    queries, exact = in_float32(queries.detach())
    with exact:
        logits = queries @ keys.detach().to(queries.dtype).transpose(-1, -2) * queries.shape[-1] ** -0.5
        if mask is not None:
            logits = logits + (mask[:, :, :1] if num_prefix and mask.shape[2] > 1 else mask)
        return logits.softmax(-1).mean((1, 2))[:, front:].unflatten(0, x.shape[:2])


CRITERION = Attention()
