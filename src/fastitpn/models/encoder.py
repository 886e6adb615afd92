"""How images pass the trunk: cells first, then attention, with a tap on every feature on the way."""

import operator
from collections.abc import Collection
from functools import partial
from typing import Any, overload

import torch
from timm.models import checkpoint
from torch import Tensor, fx

from fastitpn.models.acceleration.attention import attend_accelerated
from fastitpn.models.acceleration.gathering import Windows
from fastitpn.models.acceleration.token_trace import TokenTrace, token_trace
from fastitpn.models.attention_trace import AttentionTrace, attention_trace
from fastitpn.models.layers.cells import patchify
from fastitpn.models.layers.chunks import chunks_pay, in_chunks
from fastitpn.models.layers.position import resize_position_table
from fastitpn.models.taps import Features, Taps
from fastitpn.models.trunk import Trunk, check_image_size

fx.wrap("resize_position_table")  # control flow on sizes, which FX takes as it is
fx.wrap("check_image_size")


class Encoder(Trunk):
    """The trunk in use; `encode` is the way in, and the other public methods are parts of it or look at one pass."""

    @overload
    def encode(
        self,
        images: Tensor,
        masked: Tensor | None = None,
        mask_token: Tensor | None = None,
        num_stages: int = 3,
        *,
        taps: None = None,
    ) -> list[Tensor]: ...

    @overload
    def encode(
        self,
        images: Tensor,
        masked: Tensor | None = None,
        mask_token: Tensor | None = None,
        num_stages: int = 3,
        *,
        taps: Taps,
    ) -> Features: ...

    @torch.jit.ignore
    def encode(
        self,
        images: Tensor,
        masked: Tensor | None = None,
        mask_token: Tensor | None = None,
        num_stages: int = 3,
        *,
        taps: Taps | None = None,
    ) -> list[Tensor] | Features:
        """Run the trunk and return every stage in cell order, and with `taps` what else was asked for.

        Args:
            images: [B, in_chans, H, W].
            masked: [B, N] bool, True = hidden.
            mask_token: [16, D/4], what stands in for the embedding of a hidden patch; or [1, D], which does before
                stage 3 alone, as in iTPN.
            num_stages: Stop after this many.
            taps: Features from within stage 3.

        Returns:
            Stage 1 [B, N, 16, D/4], stage 2 [B, N, 4, D/2], stage 3 [B, (1 +) N, D] (as far as not pruned); with `taps`
            the `Features`, of which these are the `stages`.

        Raises:
            InputError: H or W is no multiple of 16, or there is no such block to tap.
        """
        if taps is None:
            return self._encode(images, masked, mask_token, num_stages)
        taps.check(self.num_attention_blocks)
        features = Features(taps)
        features.stages = self._encode(images, masked, mask_token, num_stages, features)
        return features

    def _encode(
        self,
        images: Tensor,
        masked: Tensor | None = None,
        mask_token: Tensor | None = None,
        num_stages: int = 3,
        features: Any = None,
    ) -> list[Tensor]:
        """The stages, as `encode` returns them; `features`, if any, are filled on the way."""
        _, _, H, W = images.shape
        check_image_size(H, W)
        if not torch.jit.is_scripting():
            if not self.acceleration.off:
                H, W = operator.index(H), operator.index(W)  # a compiler takes them as numbers: shapes follow from them
        outputs = self._encode_patches(patchify(images), masked, mask_token, num_stages)
        if len(outputs) == 3:
            outputs[2] = self._attend(outputs[2].squeeze(2), H // 16, W // 16, features)
        return outputs

    def _encode_patches(
        self, patches: Tensor, masked: Tensor | None = None, mask_token: Tensor | None = None, num_stages: int = 3
    ) -> list[Tensor]:
        """`_encode_cells`, a few patches at a time where that is faster and allowed."""
        if not torch.jit.is_scripting():
            if chunks_pay(patches):
                encode_cells = partial(self._encode_cells, mask_token=mask_token, num_stages=num_stages)
                return in_chunks(encode_cells, [patches, masked])
        return self._encode_cells(patches, masked, mask_token, num_stages)

    def _encode_cells(
        self, patches: Tensor, masked: Tensor | None = None, mask_token: Tensor | None = None, num_stages: int = 3
    ) -> list[Tensor]:
        """Everything before attention, patch by patch.

        Args:
            patches: [..., 16, in_chans * 16].
            masked: [...] bool, True = hidden; needs `mask_token`.
            mask_token: [16, D/4], the embedding of a hidden patch; or [1, D], its token before stage 3.
            num_stages: Stop after this many.

        Returns:
            Stage 1 [..., 16, D/4], stage 2 [..., 4, D/2] and the input of stage 3 [..., 1, D], as far as not pruned.
        """
        x = _hide(self._embed_patches(patches), masked, mask_token)
        outputs: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            if i < num_stages:
                if self.grad_checkpointing and not torch.jit.is_scripting():
                    x = checkpoint(stage.merge, x)
                else:
                    x = stage.merge(x)
                if i == 2:
                    x = _hide(x, masked, mask_token)
                if i < 2:  # stage 3 has attention: `_attend`
                    for block in stage.blocks:
                        if self.grad_checkpointing and not torch.jit.is_scripting():
                            x = block(x, recomputed=True)
                        else:
                            x = block(x)
                outputs.append(x)
        return outputs

    def _embed_patches(self, patches: Tensor) -> Tensor:
        x = self.patch_embed(patches)
        return 0.9 * x.detach() + 0.1 * x if self.stop_grad_patch_embed else x

    def _add_positions(self, x: Tensor, height: int, width: int) -> Tensor:
        """The class token and the position table: [B, N, D] to [B, (1 +) N, D]."""
        if self.cls_token is not None:
            x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        if self.pos_embed is not None:
            x = x + resize_position_table(
                self.pos_embed, self.position_grid[0], self.position_grid[1], height, width, self.position_resize
            )
        return x

    def _attend(self, x: Tensor, height: int, width: int, features: Any = None) -> Tensor:
        """Stage 3: positions, then the attention blocks. [B, N, D] to [B, (1 +) N, D]."""
        x = self._add_positions(x, height, width)
        if not torch.jit.is_scripting():
            if features is not None:
                features.windows = Windows.cut(height, width, None)
                features.see_tokens(0, x)
            if not self.acceleration.off:
                return attend_accelerated(
                    self.stages[2].blocks,
                    x,
                    height,
                    width,
                    self.acceleration,
                    num_prefix=int(self.has_class_token),
                    relative_positions=self.relative_position is not None,
                    checkpointed=self.grad_checkpointing,
                    features=features,
                    scorers=self.scorers or (),
                    learned_tokens=self.gathering_tokens,
                )
        position_bias: Tensor | None = None
        if self.rel_pos_bias is not None:
            position_bias = self.rel_pos_bias(x, height, width)
        if self.registers is None:
            return self._run_blocks(x, position_bias, 1, self.num_attention_blocks, features, height, width)
        count = self.registers.shape[1]
        x = torch.cat((self.registers.expand(x.shape[0], -1, -1), x), dim=1)
        x = self._run_blocks(x, None, 1, self.num_attention_blocks, features)
        if not torch.jit.is_scripting():
            if features is not None:
                features.drop_front(count)
        return x[:, count:]

    def _run_blocks(
        self,
        x: Tensor,
        position_bias: Tensor | None,
        first: int,
        last: int,
        features: Any = None,
        height: int | None = None,
        width: int | None = None,
    ) -> Tensor:
        """The attention blocks from `first` to `last`, 1 being the first of all; of a map, if the tokens are one."""
        for number, block in enumerate(self.stages[2].blocks, 1):
            if first <= number <= last:
                if not torch.jit.is_scripting():
                    if features is not None:
                        grid = (height, width) if height is not None and width is not None else None
                        features.see_input(number, x, position_bias, 0, grid)
                if self.grad_checkpointing and not torch.jit.is_scripting():
                    x = checkpoint(block, x, position_bias, 0, height, width)
                else:
                    x = block(x, position_bias, 0, height, width)
                if not torch.jit.is_scripting():
                    if features is not None:
                        features.see_tokens(number, x)
        return x

    @torch.jit.ignore
    @torch.no_grad()
    def trace_tokens(self, images: Tensor) -> TokenTrace:
        """Which tokens left at which step, and what each window gathered.

        Args:
            images: [B, in_chans, H, W].

        Returns:
            The trace, of the model's present acceleration.

        Raises:
            InputError: H or W is no multiple of 16.
        """
        migration, gathering = self.acceleration.migration, self.acceleration.gathering
        depth = self.num_attention_blocks
        runs = [] if gathering is None or gathering.tokens_per_window == 0 else gathering.runs(depth)
        windowed = [number + 1 for windowed, first, last in runs if windowed for number in range(first, last)]
        features = self.encode(images, taps=Taps(attention=windowed))
        steps = () if migration is None else tuple(migration.steps(depth))
        return token_trace(features, self.stages[2].blocks, steps)

    @torch.jit.ignore
    @torch.no_grad()
    def trace_attention(self, image: Tensor, token: int, blocks: Collection[int]) -> AttentionTrace:
        """To which patches one token attends.

        Args:
            image: [1, in_chans, H, W].
            token: Number of the token in raster order: row * (W / 16) + column.
            blocks: Blocks of stage 3 to look at, 1 being the first.

        Returns:
            The trace, of the model's present acceleration.

        Raises:
            InputError: H or W is no multiple of 16, or there is no such block.
        """
        return attention_trace(self.encode(image, taps=Taps(attention=blocks)), self.stages[2].blocks, token)


def _hide(x: Tensor, masked: Tensor | None, mask_token: Tensor | None) -> Tensor:
    """Put the mask token in the place of hidden patches: in x [..., K, C] if the token is [K, C], else not yet."""
    if masked is None or mask_token is None or mask_token.shape != x.shape[-2:]:
        return x
    return torch.where(masked[..., None, None], mask_token.to(x.dtype), x)
