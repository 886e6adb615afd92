"""Frames of a video, of which what did not change is not computed again.

Nothing mixes across patches before stage 3, nor in the pyramid: a patch of the same pixels keeps its cells, which
is exact. In stage 3 a token keeps what it last became where its input changed little, although what it would attend to
may have changed; tokens that did change attend to all. This is an approximation, and `threshold` its price.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fastitpn.models.backbone import FastITPN
from fastitpn.models.layers.attention import AttentionBlock
from fastitpn.models.layers.cells import PATCH, patchify
from fastitpn.models.taps import Features, Taps
from fastitpn.models.trunk import check_image_size

REFRESH = 30
"""Frames after which all tokens are computed again."""
_MOST = 0.75
"""Where a larger share of the tokens changed, all are computed: that is about as fast, and exact."""


@dataclass
class _Pass:
    """What the last frame left behind, of one of the passes that a frame takes."""

    patches: Tensor
    """[B, N, 16, C * 16], pixels."""
    stages: list[Tensor]
    """Stages 1 and 2 in cell order, and the tokens [B, N, D] that stage 3 begins with."""
    began: Tensor | None = None
    """Those tokens when each was last computed; None where stage 3 is always computed."""
    tokens: list[Tensor] = field(default_factory=list)
    """[1, P + N, D] before the first block and after each."""
    attended: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    """Keys and values [1, heads, P + N, head_dim] of each block, from the first frame on that needs them."""
    pyramid: list[Tensor] = field(default_factory=list)
    """Its cells, which the patches that are kept keep."""
    changed: Tensor | None = None
    """Places of the tokens that were computed for this frame; None: all."""
    age: int = 0
    """Frames since all were computed."""


class FrameReuse:
    """Stands in for a backbone's trunk and pyramid while a video is looked at.

    Args:
        backbone: In evaluation mode; used without gradients.
        threshold: A token is kept where its input to stage 3 changed by at most this share of its length; 0 computes
            all of stage 3 where anything changed, so that results are exact.

    Attributes:
        computed: Tokens that stage 3 computed.
        total: Tokens of all frames.
    """

    def __init__(self, backbone: FastITPN, threshold: float = 0.0):
        self.backbone, self.threshold = backbone, threshold
        self.computed = self.total = 0
        self._passes: dict[Any, _Pass] = {}
        self._calls: dict[Any, int] = {}
        self._last: _Pass | None = None
        self._encode, self._pyramid_cells = backbone._encode, backbone.pyramid_cells

    def __enter__(self) -> "FrameReuse":
        """Begin a video."""
        self.computed = self.total = 0
        self.backbone._encode = self.encode  # type: ignore[method-assign]
        self.backbone.pyramid_cells = self.pyramid_cells  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        """End it: the backbone is as before."""
        self._passes.clear()
        self._last = None
        del self.backbone._encode, self.backbone.pyramid_cells

    def next_frame(self) -> None:
        """Begin a frame: a frame may take several passes, such as its mirror image, and each has its own memory."""
        self._calls.clear()

    def encode(
        self,
        images: Tensor,
        masked: Tensor | None = None,
        mask_token: Tensor | None = None,
        num_stages: int = 3,
        features: Any = None,
    ) -> list[Tensor]:
        """The stages of a frame, as `FastITPN.encode`; with masked patches or taps all is computed."""
        if masked is not None or features is not None or num_stages < 3:
            return self._encode(images, masked, mask_token, num_stages, features)
        check_image_size(*images.shape[-2:])
        number = self._calls[images.shape] = self._calls.get(images.shape, 0) + 1
        patches = patchify(images)
        seen = self._passes.get((images.shape, number))
        if seen is None:
            seen = self._passes[images.shape, number] = _Pass(patches, self.backbone._encode_patches(patches))
            fresh: Tensor | None = None
        else:
            fresh = (patches != seen.patches).flatten(2).any(2)  # [B, N]
            self._update_cells(seen, patches, fresh)
        self._last = seen
        if len(seen.stages) < 3:  # a pruned trunk
            return list(seen.stages)
        height, width = images.shape[-2] // PATCH, images.shape[-1] // PATCH
        return [*seen.stages[:2], self._attend(seen, fresh, height, width)]

    def _update_cells(self, seen: _Pass, patches: Tensor, fresh: Tensor) -> None:
        seen.patches = patches
        if fresh.all():
            seen.stages = self.backbone._encode_patches(patches)
        elif fresh.any():
            for stage, cells in zip(seen.stages, self.backbone._encode_patches(patches[fresh][None]), strict=True):
                stage[fresh] = cells[0]

    def _attend(self, seen: _Pass, fresh: Tensor | None, height: int, width: int) -> Tensor:
        """Stage 3, of the tokens that must be computed: [B, P + N, D]."""
        x = seen.stages[2].squeeze(2)
        self.total += x.shape[0] * x.shape[1]
        if fresh is not None and not fresh.any() and seen.tokens:
            seen.changed = fresh.flatten()[:0].long()
            return seen.tokens[-1]
        seen.changed = None
        if seen.began is not None and seen.age < REFRESH:
            change = (x - seen.began).norm(dim=-1) > self.threshold * seen.began.norm(dim=-1)
            places = change[0].nonzero().flatten()
            if len(places) <= _MOST * change.shape[1]:
                seen.changed, seen.age = places, seen.age + 1
                seen.began[:, places] = x[:, places]
                self.computed += len(places)
                return self._attend_some(seen, x, places, height, width)
        self.computed += x.shape[0] * x.shape[1]
        seen.age, seen.attended = 0, {}
        if not self._may_keep(x):
            seen.tokens = [self.backbone._attend(x, height, width)]
            return seen.tokens[-1]
        features = Features(Taps(blocks=range(self.backbone.num_attention_blocks + 1)))
        last = self.backbone._attend(x, height, width, features)
        seen.tokens = [*features.blocks.values()]
        seen.began = x.clone()
        return last

    def _may_keep(self, x: Tensor) -> bool:
        plain = self.backbone.acceleration.off and self.backbone.relative_position is None
        return plain and self.backbone.registers is None and self.threshold > 0 and len(x) == 1

    def _attend_some(self, seen: _Pass, x: Tensor, places: Tensor, height: int, width: int) -> Tensor:
        if not len(places):
            return seen.tokens[-1]
        prefix = int(self.backbone.has_class_token)
        within = torch.cat((torch.arange(prefix, device=places.device), places + prefix))  # the class token sees all
        seen.tokens[0] = self.backbone._add_positions(x, height, width)
        some = seen.tokens[0][:, within]
        for number, block in enumerate(self.backbone.stages[2].blocks):
            if number not in seen.attended:
                seen.attended[number] = block.attn.project(block.norm1(seen.tokens[number]))[1:]
            some = _run_some(block, some, within, *seen.attended[number])
            seen.tokens[number + 1][:, within] = some
        return seen.tokens[-1]

    def pyramid_cells(self, stages: list[Tensor], recomputed: bool | None = None) -> list[Tensor]:
        """The pyramid of the frame that `encode` saw last, as `FastITPN.pyramid_cells`."""
        seen = self._last
        if seen is None or stages[0] is not seen.stages[0]:
            return self._pyramid_cells(stages, recomputed)
        if seen.changed is None or not seen.pyramid:
            seen.pyramid = self._pyramid_cells(stages, recomputed)
        elif len(seen.changed):
            prefix = int(self.backbone.has_class_token)
            some = [stages[0][:, seen.changed], stages[1][:, seen.changed], stages[2][:, seen.changed + prefix]]
            if prefix:
                some[2] = torch.cat((stages[2][:, :prefix], some[2]), 1)
            for level, cells in zip(seen.pyramid, self._pyramid_cells(some, recomputed), strict=True):
                level[:, seen.changed] = cells
        return list(seen.pyramid)


def _run_some(block: AttentionBlock, some: Tensor, places: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """A block for some tokens [1, n, D], which attend to all; keys and values at their places become theirs."""
    attention: Any = block.attn
    query, key, value = attention.project(block.norm1(some))
    keys[:, :, places], values[:, :, places] = key, value
    mixed = F.scaled_dot_product_attention(query, keys, values).transpose(1, 2).flatten(2)
    branch = attention.proj(mixed)
    some = some + (branch if block.gamma_1 is None else branch * block.gamma_1)
    branch = block.mlp(block.norm2(some))
    return some + (branch if block.gamma_2 is None else branch * block.gamma_2)
