"""The trunk in parts, for networks that put several images, text and tokens of their own into one sequence.

Trackers and detectors that build on Fast-iTPN need six things of it: `embed_tokens` (stages 1-2, with a position table
of the caller), `position_table`, `attend_tokens` (any blocks of stage 3 on any sequence), `attention_matrix`,
`normalize_tokens`, and `block_maps` (maps within stages 1-2). What needs no weights is in `tokens`, blocks of experts
are in `experts`.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, overload

import torch
from timm.models import checkpoint
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.encoder import Encoder
from fastitpn.models.layers.attention import AttentionBlock
from fastitpn.models.layers.cells import PATCH, cells_to_map, patchify
from fastitpn.models.layers.chunks import chunks_pay, in_chunks
from fastitpn.models.layers.position import RESIZE_FORMS, resize_position_table
from fastitpn.models.taps import Features, Taps
from fastitpn.models.trunk import check_image_size


class SequenceEncoder(Encoder):
    """An `Encoder` whose parts can be called one by one. Blocks are those of stage 3, 1 being the first."""

    if TYPE_CHECKING:  # TorchScript takes no annotations of modules
        norm: nn.Module
        fc_norm: nn.Module

    @torch.jit.ignore
    def embed_tokens(self, images: Tensor, positions: Tensor | Literal["own"] | None = "own") -> Tensor:
        """Stages 1-2: images to the tokens that stage 3 takes, for a sequence of several images.

        Args:
            images: [B, in_chans, H, W].
            positions: What is added: "own", the model's table, brought to the images' grid by `position_resize`; a
                table [1 or B, N, D]; None for nothing.

        Returns:
            [B, N, D] in raster order, N = H/16 * W/16, without a class token. Join them, and call `attend_tokens`.

        Raises:
            InputError: H or W is no multiple of 16, or the table has another number of rows or channels.
        """
        height, width = images.shape[-2] // PATCH, images.shape[-1] // PATCH
        check_image_size(*images.shape[-2:])
        tokens = self._encode_patches(patchify(images))[2].squeeze(2)
        if isinstance(positions, str):
            return self._add_positions(tokens, height, width)[:, int(self.has_class_token) :]
        if positions is None:
            return tokens
        if positions.ndim != 3 or positions.shape[0] not in (1, len(tokens)) or positions.shape[1:] != tokens.shape[1:]:
            raise InputError(
                f"a position table of {list(positions.shape)} for images of {height}x{width} patches",
                where="positions",
                expected=f"[1, {height * width}, {self.embed_dim}]",
                fix=f"positions=model.position_table({height}, {width})",
            )
        return tokens + positions

    @torch.jit.ignore
    def position_table(self, height: int, width: int, form: str | None = None) -> Tensor:
        """The model's position table for another grid, such as a template's; gradients reach the model's.

        Args:
            height: Rows of patches.
            width: Columns of patches.
            form: How it is resized, see `layers.position.resize_position_table`; None: as `position_resize` says.

        Returns:
            [1, height * width, D], without a class token's row.

        Raises:
            InputError: The grid is empty, there is no such form, or the model has no table.
        """
        if self.pos_embed is None:
            raise InputError("this model has no position table", expected="a model that was not pruned")
        form = form or self.position_resize
        if form not in RESIZE_FORMS:
            raise InputError(f"form={form!r}", expected=f"one of {', '.join(RESIZE_FORMS)}")
        if min(height, width) < 1:
            raise InputError(f"a grid of {height}x{width} patches", expected="at least 1x1")
        return resize_position_table(
            self.pos_embed[:, int(self.has_class_token) :], *self.position_grid, height, width, form
        )

    @overload
    def attend_tokens(
        self,
        tokens: Tensor,
        blocks: tuple[int, int] | None = None,
        *,
        mask: Tensor | None = None,
        taps: None = None,
    ) -> Tensor: ...

    @overload
    def attend_tokens(
        self, tokens: Tensor, blocks: tuple[int, int] | None = None, *, mask: Tensor | None = None, taps: Taps
    ) -> tuple[Tensor, Features]: ...

    @torch.jit.ignore
    def attend_tokens(
        self,
        tokens: Tensor,
        blocks: tuple[int, int] | None = None,
        *,
        mask: Tensor | None = None,
        taps: Taps | None = None,
    ) -> Tensor | tuple[Tensor, Features]:
        """The blocks of stage 3 on a sequence of any length, such as template and search image of a tracker.

        Args:
            tokens: [B, L, D], positions added.
            blocks: First and last of the blocks, 1 being the first; None for all. A tracker may drop tokens in between.
            mask: Broadcasts to [B, heads, L, L]: numbers that are added to the logits, such as relative positions of
                the caller, or bools that say who (row) may attend to whom, such as to text that is no padding.
            taps: Tokens after chosen blocks, and what goes into chosen blocks.

        Returns:
            [B, L, D], before the final norm; for the tokens of one image and all blocks that is what `encode` ends
            with. With `taps` also the `Features`: their `blocks` and `attention`.

        Raises:
            InputError: The model is accelerated or has relative positions, and both need the grid of one image; or it
                has no such blocks.
        """
        self._check_plain()
        first, last = blocks or (1, self.num_attention_blocks)
        if not 1 <= first <= last <= self.num_attention_blocks:
            raise InputError(
                f"blocks={blocks}", expected=f"first and last of the blocks 1 to {self.num_attention_blocks}"
            )
        if taps is None:
            return self._run_blocks(tokens, mask, first, last)
        taps.check(last, first)
        features = Features(taps)
        features.see_tokens(first - 1, tokens)
        return self._run_blocks(tokens, mask, first, last, features), features

    @torch.jit.ignore
    def attention_matrix(self, tokens: Tensor, block: int, *, mask: Tensor | None = None) -> Tensor:
        """How a block distributes its attention: softmax of its scaled products of queries and keys, in float32.

        Args:
            tokens: [B, L, D], what goes into the block: `attend_tokens(..., (1, block - 1))`, or
                `features.attention[block].tokens`.
            block: 1 is the first.
            mask: See `attend_tokens`.

        Returns:
            [B, heads, L, L]; row i says to which tokens token i attends, and sums to 1.

        Raises:
            InputError: The model is accelerated or has relative positions, or it has no such block.
        """
        self._check_plain()
        Taps(attention=(block,)).check(self.num_attention_blocks)
        layer: AttentionBlock = self.stages[2].blocks[block - 1]
        q, k, _ = layer.attn.project(layer.norm1(tokens))  # [B, heads, L, head_dim]
        logits = (q.float() * q.shape[-1] ** -0.5) @ k.float().mT
        if mask is not None:
            logits = logits.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else logits + mask
        return logits.softmax(-1)

    @torch.jit.ignore
    def normalize_tokens(self, tokens: Tensor) -> Tensor:
        """The final norm of the model, `norm` or `fc_norm`, on every token, without pooling.

        Args:
            tokens: [B, L, D].

        Returns:
            [B, L, D].

        Raises:
            InputError: The model was built without a final norm.
        """
        if isinstance(self.norm, nn.Identity) and isinstance(self.fc_norm, nn.Identity):
            raise InputError(
                "this model has no final norm",
                expected="a model that normalises before pooling (fc_norm=False) or after it (global_pool='avg')",
                fix="create_model(..., num_classes=0), without global_pool=''",
            )
        return self.fc_norm(self.norm(tokens))

    @torch.jit.ignore
    def block_maps(self, images: Tensor, blocks: Sequence[int]) -> list[Tensor]:
        """Feature maps after chosen blocks of all stages, as detectors number them.

        Args:
            images: [B, in_chans, H, W].
            blocks: Numbers from 0 in the published list of blocks, which counts the two merges: n1 blocks of stage 1, a
                merge, n2 blocks of stage 2, a merge, n3 blocks of stage 3. -1 is the last block.

        Returns:
            For each number its map, NCHW: D/4 channels at stride 4, D/2 at 8, D at 16; before the final norm.

        Raises:
            InputError: H or W is no multiple of 16, or there is no such block.
        """
        check_image_size(*images.shape[-2:])
        cell_layers = [layer for stage in self.stages for layer in (stage.merge, *stage.blocks)][
            1:
        ]  # stage 1: no merge
        if len(self.stages) == 3:
            del cell_layers[-self.num_attention_blocks :]
        first = len(cell_layers)  # of the blocks with attention
        count = first + (self.num_attention_blocks if len(self.stages) == 3 else 0)
        if absent := [number for number in blocks if not -count <= number < count]:
            raise InputError(f"there is no block {absent[0]}", where="blocks", expected=f"{-count} to {count - 1}")
        numbers = [number % count for number in blocks]
        shallow = sorted({number for number in numbers if number < first})
        deep = {number - first + 1 for number in numbers if number >= first}
        height, width = images.shape[-2] // PATCH, images.shape[-1] // PATCH

        def encode_cells(patches: Tensor) -> list[Tensor]:
            x, outputs = self._embed_patches(patches), []
            for number, layer in enumerate(cell_layers[: None if deep else max(shallow, default=-1) + 1]):
                x = checkpoint(layer, x) if self.grad_checkpointing else layer(x)
                if number in shallow:
                    outputs.append(x)
            return [*outputs, x]

        patches = patchify(images)
        *outputs, x = in_chunks(encode_cells, [patches]) if chunks_pay(patches) else encode_cells(patches)
        maps = {number: cells_to_map(cells, height, width) for number, cells in zip(shallow, outputs, strict=True)}
        if deep:
            features = Features(Taps(blocks=deep))
            self._attend(x.squeeze(2), height, width, features)
            for block, tokens in features.blocks.items():
                patch_tokens = tokens[:, int(self.has_class_token) :].unsqueeze(2)
                maps[block + first - 1] = cells_to_map(patch_tokens, height, width)
        return [maps[number] for number in numbers]

    def _check_plain(self) -> None:
        """Raise unless stage 3 attends within any sequence."""
        if not self.acceleration.off or self._has_relative_positions():
            raise InputError(
                "a joined sequence of tokens has no grid, which acceleration and relative positions need",
                expected="a plain model with absolute positions",
                fix="model.set_acceleration('off'), create_model(..., relative_position=None)",
            )
