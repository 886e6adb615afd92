"""The hierarchical trunk: two attention-free stages inside 16x16 patches, and a stage of attention between them."""

import operator
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from timm.layers import calculate_drop_path_rates, to_2tuple
from timm.models import checkpoint
from torch import Tensor, fx, nn

from fastitpn.errors import InputError
from fastitpn.models.acceleration.attention import attend_accelerated
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.acceleration.settings import PRESETS, Acceleration, resolve_acceleration
from fastitpn.models.acceleration.token_trace import TokenRecorder, TokenTrace
from fastitpn.models.attention_trace import AttentionRecorder, AttentionTrace
from fastitpn.models.initialization import initialize, initialize_table
from fastitpn.models.layers.attention import AttentionBlock
from fastitpn.models.layers.cell_blocks import CellBlock, CellMerge, PatchEmbed
from fastitpn.models.layers.cells import PATCH, patchify
from fastitpn.models.layers.position import RESIZE_FORMS, resize_position_table
from fastitpn.models.layers.relative_position import create_relative_position_bias

CHUNK_PATCHES = 64
"""Patches that the attention-free parts take at a time on a CPU in inference, so that they stay in its cache."""

fx.wrap("resize_position_table")  # control flow on sizes, which FX takes as it is


@fx.wrap
def check_image_size(height: int, width: int) -> None:
    """Raise unless both sides are multiples of 16."""
    if height % 16 == 0 and width % 16 == 0 and height > 0 and width > 0:
        return
    up, across = max(16, -(-height // 16) * 16), max(16, -(-width // 16) * 16)
    message = f"image of {height}x{width} px: both sides must be multiples of 16; pad or resize it to {up}x{across}"
    if torch.jit.is_scripting():
        raise ValueError(message)
    raise InputError(message)


class Stage(nn.Module):
    """A merge (none in stage 1) and the blocks that follow it."""

    def __init__(self, merge: nn.Module, blocks: list[nn.Module]):
        super().__init__()
        self.merge = merge
        self.blocks = nn.ModuleList(blocks)


class Trunk(nn.Module):
    """Patch embedding and the three stages. The arguments are those of `FastITPN`."""

    def __init__(
        self,
        img_size: int | tuple[int, int],
        in_chans: int,
        *,
        embed_dim: int,
        depths: tuple[int, int, int],
        num_heads: int,
        cell_mlp_ratio: float,
        mlp_ratio: float,
        swiglu: bool,
        sub_norm: bool,
        qkv_bias: bool,
        init_values: float,
        class_token: bool,
        relative_position: str | None,
        position_resize: str,
        stop_grad_patch_embed: bool,
        proj_drop_rate: float,
        drop_path_rate: float,
        device=None,
        dtype=None,
    ):
        super().__init__()
        _check_positions(position_resize, relative_position, class_token)
        dd = {"device": device, "dtype": dtype}
        height, width = to_2tuple(img_size)
        check_image_size(height, width)
        self.in_chans = in_chans
        self.embed_dim = embed_dim
        self.init_values = init_values
        self.num_attention_blocks = depths[2]
        self.position_resize = position_resize
        self.stop_grad_patch_embed = stop_grad_patch_embed
        self.has_class_token = class_token
        self.grad_checkpointing = False
        self.acceleration: Acceleration = resolve_acceleration(None)
        self.grid_size: tuple[int, int] = (height // PATCH, width // PATCH)

        dims = self.stage_dims
        drop_path: Iterator[Any] = iter(calculate_drop_path_rates(drop_path_rate, sum(depths)))
        self.patch_embed = PatchEmbed(in_chans, dims[0], **dd)
        stages = []
        for i in range(2):
            merge = CellMerge(dims[i - 1], **dd) if i > 0 else nn.Identity()
            hidden = int(dims[i] * cell_mlp_ratio)
            blocks: list[nn.Module] = [
                CellBlock(dims[i], hidden, sub_norm=sub_norm, drop_path=next(drop_path), **dd) for _ in range(depths[i])
            ]
            stages.append(Stage(merge, blocks))
        attention_blocks: list[nn.Module] = [
            AttentionBlock(
                embed_dim,
                num_heads,
                hidden=int(embed_dim * mlp_ratio),
                swiglu=swiglu,
                sub_norm=sub_norm,
                qkv_bias=qkv_bias,
                init_values=init_values,
                relative_position=relative_position,
                grid=self.grid_size,
                drop=proj_drop_rate,
                drop_path=next(drop_path),
                **dd,
            )
            for _ in range(depths[2])
        ]
        stages.append(Stage(CellMerge(dims[1], **dd), attention_blocks))
        self.stages = nn.ModuleList(stages)
        num_tokens = self.grid_size[0] * self.grid_size[1] + int(class_token)
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim, **dd)) if class_token else None
        self.pos_embed: nn.Parameter | None = nn.Parameter(torch.empty(1, num_tokens, embed_dim, **dd))
        shared = relative_position if relative_position != "own" else None
        self.rel_pos_bias = create_relative_position_bias(shared, self.grid_size, num_heads, **dd)

    @property
    def stage_dims(self) -> tuple[int, int, int]:
        """Channels of the three stages."""
        return self.embed_dim // 4, self.embed_dim // 2, self.embed_dim

    @torch.jit.ignore
    def init_weights(self, scheme: str = "finetune") -> None:
        """Fill all weights with start values; see `initialization.initialize` for the schemes."""
        if next(self.parameters()).is_meta:
            return
        initialize(self, scheme, init_values=self.init_values, num_attention_blocks=self.num_attention_blocks)
        for table in (self.pos_embed, self.cls_token):
            if table is not None:
                initialize_table(table, scheme)
        for module in self.modules():
            if hasattr(module, "init_relative_position"):
                module.init_relative_position()

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute blocks in the backward pass instead of keeping their activations."""
        self.grad_checkpointing = enable

    @torch.jit.ignore
    def set_acceleration(
        self,
        value: str | Mapping[str, Any] | Acceleration | None = None,
        *,
        migration: Migration | Mapping[str, Any] | None = None,
        gathering: Gathering | Mapping[str, Any] | None = None,
    ) -> None:
        """Switch token migration and token gathering on or off; the weights stay as they are.

        Args:
            value: A preset's name ("off", "balanced", "fast"), an `Acceleration` or its dict; None: what follows.
            migration: Tokens that leave early; also as a dict of its fields, which is what saved models hold.
            gathering: Attention in windows; likewise. Both as a preset has them are that preset.

        Raises:
            InputError: It does not fit the model; names the key and its range. The model stays as it was.
        """
        if migration is not None or gathering is not None:
            if value is not None:
                raise InputError("acceleration by name and in detail", expected="one of the two", where="acceleration")
            own = Acceleration.from_dict({"migration": migration, "gathering": gathering})
            same = (p for p in PRESETS.values() if (p.migration, p.gathering) == (own.migration, own.gathering))
            value = next(same, own)
        acceleration = resolve_acceleration(value)
        acceleration.check(
            self.num_attention_blocks,
            self.grid_size,
            class_token=self.has_class_token,
            relative_position=self._has_relative_positions(),
        )
        self.acceleration = acceleration

    def _has_relative_positions(self) -> bool:
        return self.rel_pos_bias is not None or any(
            getattr(module, "rel_pos_bias", None) is not None for module in self.stages.modules()
        )

    def __prepare_scriptable__(self) -> "Trunk":
        if not self.acceleration.off:
            raise InputError(
                "TorchScript of an accelerated model: it has the plain model alone",
                where="acceleration",
                expected="off",
                fix="model.set_acceleration('off'), or torch.export, which keeps the acceleration",
            )
        return self

    @torch.jit.ignore
    def set_input_size(self, img_size: int | tuple[int, int]) -> None:
        """Make another input size the native one: the position table is resized and stored."""
        height, width = to_2tuple(img_size)
        check_image_size(height, width)
        new_grid = (height // PATCH, width // PATCH)
        if new_grid == self.grid_size:
            return
        if self._has_relative_positions():
            raise InputError(
                "a model with relative positions runs at the size it was built for",
                expected=f"{self.grid_size[0] * PATCH}x{self.grid_size[1] * PATCH} px",
                fix=f"create_model(..., img_size=({height}, {width}))",
            )
        if self.pos_embed is not None:
            table = self.pos_embed
            resized = resize_position_table(table.detach(), *self.grid_size, *new_grid, self.position_resize)
            self.pos_embed = nn.Parameter(resized.contiguous(), requires_grad=table.requires_grad)
        self.grid_size = new_grid

    def _encode_cells(
        self, patches: Tensor, masked: Tensor | None = None, mask_token: Tensor | None = None, num_stages: int = 3
    ) -> list[Tensor]:
        """Everything before attention, patch by patch.

        Args:
            patches: [..., 16, in_chans * 16].
            masked: [...] bool, True = hidden; needs `mask_token`.
            mask_token: [16, D/4], the embedding of a hidden patch.
            num_stages: Stop after this many.

        Returns:
            Stage 1 [..., 16, D/4], stage 2 [..., 4, D/2] and the input of stage 3 [..., 1, D], as far as not pruned.
        """
        x = self.patch_embed(patches)
        if self.stop_grad_patch_embed:
            x = 0.9 * x.detach() + 0.1 * x
        if masked is not None and mask_token is not None:
            x = torch.where(masked[..., None, None], mask_token.to(x.dtype), x)
        outputs: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            if i < num_stages:
                if self.grad_checkpointing and not torch.jit.is_scripting():
                    x = checkpoint(stage.merge, x)
                else:
                    x = stage.merge(x)
                if i < 2:  # stage 3 has attention: `_attend`
                    for block in stage.blocks:
                        if self.grad_checkpointing and not torch.jit.is_scripting():
                            x = block(x, recomputed=True)
                        else:
                            x = block(x)
                outputs.append(x)
        return outputs

    def _encode_cells_in_cache(
        self, patches: Tensor, masked: Tensor | None = None, mask_token: Tensor | None = None, num_stages: int = 3
    ) -> list[Tensor]:
        """`_encode_cells`, a few patches at a time where that is faster and allowed (inference on a CPU)."""
        if not torch.jit.is_scripting():
            if chunks_pay(patches):
                B, N = patches.shape[:2]
                hidden = [None] * (B * N) if masked is None else masked.flatten(0, 1).split(CHUNK_PATCHES)
                chunks = [
                    self._encode_cells(chunk, m, mask_token, num_stages)
                    for chunk, m in zip(patches.flatten(0, 1).split(CHUNK_PATCHES), hidden, strict=False)
                ]
                return [torch.cat(parts).unflatten(0, (B, N)) for parts in zip(*chunks, strict=True)]
        return self._encode_cells(patches, masked, mask_token, num_stages)

    def _add_positions(self, x: Tensor, height: int, width: int) -> Tensor:
        """The class token and the position table: [B, N, D] to [B, (1 +) N, D]."""
        if self.cls_token is not None:
            x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        if self.pos_embed is not None:
            x = x + resize_position_table(
                self.pos_embed, self.grid_size[0], self.grid_size[1], height, width, self.position_resize
            )
        return x

    def _attend(self, x: Tensor, height: int, width: int) -> Tensor:
        """Stage 3: positions, then the attention blocks. [B, N, D] to [B, (1 +) N, D]."""
        x = self._add_positions(x, height, width)
        if not torch.jit.is_scripting():
            if not self.acceleration.off:
                return self._attend_accelerated(x, height, width)
        position_bias: Tensor | None = None
        if self.rel_pos_bias is not None:
            position_bias = self.rel_pos_bias()
        return self._run_blocks(x, position_bias)

    def _run_blocks(self, x: Tensor, position_bias: Tensor | None) -> Tensor:
        for block in self.stages[2].blocks:
            if self.grad_checkpointing and not torch.jit.is_scripting():
                x = checkpoint(block, x, position_bias)
            else:
                x = block(x, position_bias)
        return x

    def _attend_accelerated(self, x: Tensor, height: int, width: int, recorder: TokenRecorder | None = None) -> Tensor:
        blocks: Any = self.stages[2].blocks
        return attend_accelerated(
            blocks,
            x,
            height,
            width,
            self.acceleration,
            num_prefix=int(self.has_class_token),
            checkpointed=self.grad_checkpointing,
            recorder=recorder,
        )

    @torch.jit.ignore
    def embed_tokens(self, images: Tensor) -> Tensor:
        """Stages 1-2: images to the tokens that stage 3 takes, with their positions, for a sequence of several images.

        Args:
            images: [B, in_chans, H, W].

        Returns:
            [B, N, D] in raster order, N = H/16 * W/16, without a class token. Join them, and call `attend_tokens`.

        Raises:
            InputError: H or W is no multiple of 16.
        """
        height, width = images.shape[-2] // PATCH, images.shape[-1] // PATCH
        check_image_size(*images.shape[-2:])
        tokens = self._encode_cells_in_cache(patchify(images))[2].squeeze(2)
        return self._add_positions(tokens, height, width)[:, int(self.has_class_token) :]

    @torch.jit.ignore
    def attend_tokens(self, tokens: Tensor) -> Tensor:
        """The blocks of stage 3 on a sequence of any length, such as template and search image of a tracker.

        Args:
            tokens: [B, L, D], positions added.

        Returns:
            [B, L, D]. For the tokens of one image that is what `encode` ends with.

        Raises:
            InputError: The model is accelerated or has relative positions, and both need the grid of one image.
        """
        if not self.acceleration.off or self._has_relative_positions():
            raise InputError(
                "a joined sequence of tokens has no grid, which acceleration and relative positions need",
                expected="a plain model with absolute positions",
                fix="model.set_acceleration('off'), create_model(..., relative_position=None)",
            )
        return self._run_blocks(tokens, None)

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
        height, width = images.shape[-2] // PATCH, images.shape[-1] // PATCH
        check_image_size(*images.shape[-2:])
        migration = self.acceleration.migration
        recorder = TokenRecorder(() if migration is None else tuple(migration.steps(self.num_attention_blocks)))
        tokens = self._encode_cells_in_cache(patchify(images))[2].squeeze(2)
        self._attend_accelerated(self._add_positions(tokens, height, width), height, width, recorder)
        return recorder.trace()

    @torch.jit.ignore
    @torch.no_grad()
    def trace_attention(self, image: Tensor, token: int, blocks: Collection[int]) -> AttentionTrace:
        """To which patches one token attends.

        Args:
            image: [1, in_chans, H, W].
            token: Which, in raster order: row * (W / 16) + column.
            blocks: Blocks of stage 3 to look at, 1 being the first.

        Returns:
            The trace, of the model's present acceleration.

        Raises:
            InputError: H or W is no multiple of 16.
        """
        height, width = image.shape[-2] // PATCH, image.shape[-1] // PATCH
        check_image_size(*image.shape[-2:])
        attention_blocks: Any = self.stages[2].blocks
        recorder = AttentionRecorder(attention_blocks, token, blocks)
        tokens = self._encode_cells_in_cache(patchify(image))[2].squeeze(2)
        with recorder.listening():
            if self.acceleration.off:
                recorder.begin_plain(height * width, image.device)
                self._attend(tokens, height, width)
            else:
                self._attend_accelerated(self._add_positions(tokens, height, width), height, width, recorder)
        return AttentionTrace(grid=(height, width), token=token, shares=recorder.shares, left_after=recorder.left_after)

    def encode(
        self, images: Tensor, masked: Tensor | None = None, mask_token: Tensor | None = None, num_stages: int = 3
    ) -> list[Tensor]:
        """Run the trunk and return every stage in cell order.

        Args:
            images: [B, in_chans, H, W].
            masked: [B, N] bool, True = hidden.
            mask_token: [16, D/4], what stands in for the embedding of a hidden patch.
            num_stages: Stop after this many.

        Returns:
            Stage 1 [B, N, 16, D/4], stage 2 [B, N, 4, D/2], stage 3 [B, (1 +) N, D] (as far as not pruned).

        Raises:
            InputError: H or W is no multiple of 16.
        """
        _, _, H, W = images.shape
        check_image_size(H, W)
        if not torch.jit.is_scripting():
            if not self.acceleration.off:
                H, W = operator.index(H), operator.index(W)  # a compiler takes them as numbers: shapes follow from them
        outputs = self._encode_cells_in_cache(patchify(images), masked, mask_token, num_stages)
        if len(outputs) == 3:
            outputs[2] = self._attend(outputs[2].squeeze(2), H // 16, W // 16)
        return outputs


def chunks_pay(x: Tensor) -> bool:
    """Whether to work in chunks: eager inference on a CPU, with more than one chunk of patches."""
    if isinstance(x, fx.Proxy) or torch.jit.is_tracing() or torch.compiler.is_compiling():
        return False
    return x.device.type == "cpu" and not torch.is_grad_enabled() and x.shape[0] * x.shape[1] > CHUNK_PATCHES


def _check_positions(position_resize: str, relative_position: str | None, class_token: bool) -> None:
    if position_resize not in RESIZE_FORMS:
        raise InputError(f"position_resize={position_resize!r}", expected=f"one of {', '.join(RESIZE_FORMS)}")
    if relative_position is not None and not class_token:
        raise InputError(
            f"relative_position={relative_position!r} without a class token",
            expected="tables of the published form, which have rows for the class token",
            fix="class_token=True",
        )
