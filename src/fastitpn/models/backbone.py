"""Fast-iTPN: the hierarchical trunk, and the pyramid on top of it when asked for."""

from collections.abc import Sequence

import torch
from timm.layers import calculate_drop_path_rates, get_device_dtype, to_2tuple
from timm.models import checkpoint, register_notrace_function
from timm.models._features import feature_take_indices
from torch import Tensor, fx, nn

from fastitpn.errors import InputError
from fastitpn.models.cells import PATCH, cells_to_map, patchify
from fastitpn.models.initialization import initialize, initialize_table
from fastitpn.models.layers import AttentionBlock, CellBlock, CellMerge, Norm, PatchEmbed, Stage
from fastitpn.models.position import RESIZE_FORMS, resize_position_table
from fastitpn.models.pyramid import STRIDES, Pyramid
from fastitpn.models.relative_position import create_relative_position_bias

CHUNK_PATCHES = 64
"""Patches that the attention-free parts take at a time on a CPU in inference, so that they stay in its cache."""


@register_notrace_function
def check_image_size(height: int, width: int) -> None:
    """Raise unless both sides are multiples of 16."""
    if height % 16 == 0 and width % 16 == 0 and height > 0 and width > 0:
        return
    up, across = max(16, -(-height // 16) * 16), max(16, -(-width // 16) * 16)
    message = f"image of {height}x{width} px: both sides must be multiples of 16; pad or resize it to {up}x{across}"
    if torch.jit.is_scripting():
        raise ValueError(message)
    raise InputError(message)


class FastITPN(nn.Module):
    """Fast-iTPN trunk with an optional feature pyramid and classification head.

    Source: the published Fast-iTPN classifier and pre-training model; same numerics, another memory layout (`cells`).

    Args:
        img_size: Native input size in px, int or (height, width); sizes the position table. Any multiple of 16 runs.
        in_chans: Channels of the input.
        num_classes: Classes of the head; 0 for none.
        global_pool: "avg", or "" to keep the map.
        embed_dim: Channels D of stage 3; stages 1 and 2 have D/4 and D/2.
        depths: Blocks of stages 1, 2, 3.
        num_heads: Attention heads of stage 3.
        cell_mlp_ratio: Hidden width of the blocks in stages 1-2, as a multiple of their channels.
        mlp_ratio: Hidden width of the feed-forward network in stage 3, as a multiple of D.
        swiglu: SwiGLU in stage 3, else a GELU MLP.
        sub_norm: LayerNorm inside every MLP of the trunk.
        qkv_bias: Learn biases on queries and values.
        init_values: Start of the layer scales in stage 3; 0 for none.
        class_token: Put a class token in front; `forward_features` then returns tokens [B, 1 + N, D].
        relative_position: None, "own" (per block), "shared" or "shared_decoupled"; these need a class token and a fixed
            input size, as in the published code.
        fc_norm: True: normalise after pooling, over patches only (published fine-tuning). False: normalise the tokens,
            then pool all of them.
        position_resize: How the position table follows another input size, see `position.resize_position_table`.
        stop_grad_patch_embed: Scale the gradient of the patch embedding by 0.1 (published pre-training).
        drop_rate: Dropout before the head.
        proj_drop_rate: Dropout in the blocks of stage 3.
        drop_path_rate: Stochastic depth, rising linearly from 0 over all blocks.
        pyramid: Build the pyramid. `features_only` and `forward_intermediates` then give its five levels.
        pyramid_dim: Channels of its levels.
        pyramid_mlp_ratio: Hidden width of its blocks, as a multiple of `pyramid_dim` (published: 8/3, 682 at 256).
        pyramid_depth: Refining blocks per level.
        weight_init: "finetune", "pretrain" or "skip"; see `initialization`.
    """

    output_fmt = "NHWC"

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        global_pool: str = "avg",
        *,
        embed_dim: int = 512,
        depths: tuple[int, int, int] = (3, 3, 24),
        num_heads: int = 8,
        cell_mlp_ratio: float = 3.0,
        mlp_ratio: float = 3.0,
        swiglu: bool = True,
        sub_norm: bool = True,
        qkv_bias: bool = True,
        init_values: float = 0.1,
        class_token: bool = False,
        relative_position: str | None = None,
        fc_norm: bool = True,
        position_resize: str = "size",
        stop_grad_patch_embed: bool = False,
        drop_rate: float = 0.0,
        proj_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        pyramid: bool = False,
        pyramid_dim: int = 256,
        pyramid_mlp_ratio: float = 8 / 3,
        pyramid_depth: int = 1,
        weight_init: str = "finetune",
        device=None,
        dtype=None,
    ):
        super().__init__()
        _check_arguments(global_pool, position_resize, relative_position, class_token)
        dd = {"device": device, "dtype": dtype}
        height, width = to_2tuple(img_size)
        check_image_size(height, width)
        self.num_classes = num_classes
        self.in_chans = in_chans
        self.num_features = self.head_hidden_size = self.embed_dim = embed_dim
        self.global_pool = global_pool
        self.init_values = init_values
        self.num_attention_blocks = depths[2]
        self.position_resize = position_resize
        self.stop_grad_patch_embed = stop_grad_patch_embed
        self.has_class_token = class_token
        self.norm_before_pool = not fc_norm
        self.grad_checkpointing = False
        self.grid_size: tuple[int, int] = (height // PATCH, width // PATCH)
        if class_token:
            self.output_fmt = "NLC"

        dims = (embed_dim // 4, embed_dim // 2, embed_dim)
        drop_path = iter(calculate_drop_path_rates(drop_path_rate, sum(depths)))
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
        self.pos_embed = nn.Parameter(torch.empty(1, num_tokens, embed_dim, **dd))
        shared = relative_position if relative_position != "own" else None
        self.rel_pos_bias = create_relative_position_bias(shared, self.grid_size, num_heads, **dd)
        self.pyramid = (
            Pyramid(embed_dim, pyramid_dim, int(pyramid_dim * pyramid_mlp_ratio), pyramid_depth, **dd)
            if pyramid
            else None
        )

        self.norm = nn.Identity() if fc_norm else Norm(embed_dim, **dd)
        self.fc_norm = Norm(embed_dim, **dd) if fc_norm and global_pool else nn.Identity()
        self.head_drop = nn.Dropout(drop_rate)
        self.head = nn.Linear(embed_dim, num_classes, **dd) if num_classes > 0 else nn.Identity()
        self.feature_info = self._describe_features(dims, pyramid_dim)
        if weight_init != "skip":
            self.init_weights(weight_init)

    def _describe_features(self, dims: tuple[int, int, int], pyramid_dim: int) -> list[dict[str, int | str]]:
        if self.pyramid is None:
            return [
                {"num_chs": dim, "reduction": stride, "module": f"stages.{i}"}
                for i, (dim, stride) in enumerate(zip(dims, STRIDES, strict=False))
            ]
        outputs = ("output4", "output8", "output16", "output16", "output16")
        return [
            {"num_chs": pyramid_dim, "reduction": stride, "module": f"pyramid.{output}"}
            for stride, output in zip(STRIDES, outputs, strict=True)
        ]

    @torch.jit.ignore
    def init_weights(self, scheme: str = "finetune") -> None:
        """Fill all weights with start values; see `initialization.initialize` for the schemes."""
        if next(self.parameters()).is_meta:
            return
        initialize(self, scheme, init_values=self.init_values, num_attention_blocks=self.num_attention_blocks)
        initialize_table(self.pos_embed, scheme)
        if self.cls_token is not None:
            initialize_table(self.cls_token, scheme)
        for bias in self.modules():
            if hasattr(bias, "init_relative_position"):
                bias.init_relative_position()
        self._init_head()

    @torch.no_grad()
    def _init_head(self) -> None:
        if isinstance(self.head, nn.Linear):
            nn.init.trunc_normal_(self.head.weight, std=0.02)
            self.head.weight.mul_(0.01)  # published: the head starts at a hundredth
            nn.init.zeros_(self.head.bias)

    # ------------------------------------------------------------------ timm's contract

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        """Parameters without weight decay beyond 1-D ones, as published."""
        return {"pos_embed", "cls_token"}

    @torch.jit.ignore
    def group_matcher(self, coarse: bool = False) -> dict:
        """Layer groups for layer-wise learning-rate decay. Merges count as a layer, as in the published recipe."""
        stem = r"^patch_embed|^pos_embed|^cls_token|^rel_pos_bias"
        if coarse:
            return {"stem": stem, "blocks": [(r"^stages\.(\d+)", None), (r"^norm|^pyramid", (99999,))]}
        return {
            "stem": stem,
            "blocks": [
                (r"^stages\.(\d+)\.merge", (0,)),
                (r"^stages\.(\d+)\.blocks\.(\d+)", None),
                (r"^norm|^pyramid", (99999,)),
            ],
        }

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Recompute blocks in the backward pass instead of keeping their activations."""
        self.grad_checkpointing = enable

    @torch.jit.ignore
    def get_classifier(self) -> nn.Module:
        """The head."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the head with a fresh one.

        Args:
            num_classes: Classes; 0 for no head.
            global_pool: "avg" or ""; None keeps the present pooling.
        """
        dd = get_device_dtype(self)
        if global_pool is not None:
            _check_arguments(global_pool, self.position_resize, None, self.has_class_token)
            self.global_pool = global_pool
            if not global_pool:
                self.fc_norm = nn.Identity()
            elif not self.norm_before_pool and isinstance(self.fc_norm, nn.Identity):
                self.fc_norm = Norm(self.num_features, **dd).train(self.training)
        self.num_classes = num_classes
        self.head_hidden_size = self.num_features
        self.head = nn.Linear(self.num_features, num_classes, **dd) if num_classes > 0 else nn.Identity()
        self.head.train(self.training)
        if num_classes > 0 and not self.head.weight.is_meta:
            self._init_head()

    @torch.jit.ignore
    def set_input_size(self, img_size: int | tuple[int, int]) -> None:
        """Make another input size the native one: the position table is resized and stored."""
        height, width = to_2tuple(img_size)
        check_image_size(height, width)
        new_grid = (height // PATCH, width // PATCH)
        if new_grid == self.grid_size:
            return
        if self.rel_pos_bias is not None or any(b.attn.rel_pos_bias is not None for b in self.stages[-1].blocks):
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

    # ------------------------------------------------------------------ forward

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
                x = stage.merge(x)
                if i < 2:  # stage 3 has attention: `_attend`
                    for block in stage.blocks:
                        if self.grad_checkpointing and not torch.jit.is_scripting():
                            x = checkpoint(block, x)
                        else:
                            x = block(x)
                outputs.append(x)
        return outputs

    def _encode_cells_in_cache(
        self, patches: Tensor, masked: Tensor | None = None, mask_token: Tensor | None = None, num_stages: int = 3
    ) -> list[Tensor]:
        """`_encode_cells`, a few patches at a time where that is faster and allowed (inference on a CPU)."""
        if not torch.jit.is_scripting():
            if _chunks_pay(patches, CHUNK_PATCHES):
                B, N = patches.shape[:2]
                hidden = [None] * (B * N) if masked is None else masked.flatten(0, 1).split(CHUNK_PATCHES)
                chunks = [
                    self._encode_cells(chunk, m, mask_token, num_stages)
                    for chunk, m in zip(patches.flatten(0, 1).split(CHUNK_PATCHES), hidden, strict=False)
                ]
                return [torch.cat(parts).unflatten(0, (B, N)) for parts in zip(*chunks, strict=True)]
        return self._encode_cells(patches, masked, mask_token, num_stages)

    def _attend(self, x: Tensor, height: int, width: int) -> Tensor:
        """Stage 3: positions, then the attention blocks. [B, N, D] to [B, (1 +) N, D]."""
        if self.cls_token is not None:
            x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
        if self.pos_embed is not None:
            x = x + resize_position_table(
                self.pos_embed, self.grid_size[0], self.grid_size[1], height, width, self.position_resize
            )
        position_bias: Tensor | None = None
        if self.rel_pos_bias is not None:
            position_bias = self.rel_pos_bias()
        for block in self.stages[2].blocks:
            if self.grad_checkpointing and not torch.jit.is_scripting():
                x = checkpoint(block, x, position_bias)
            else:
                x = block(x, position_bias)
        return x

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
        outputs = self._encode_cells_in_cache(patchify(images), masked, mask_token, num_stages)
        if len(outputs) == 3:
            outputs[2] = self._attend(outputs[2].squeeze(2), H // 16, W // 16)
        return outputs

    def forward_features(self, x: Tensor) -> Tensor:
        """[B, in_chans, H, W] to the final map [B, H/16, W/16, D]; with a class token, tokens [B, 1 + N, D]."""
        _, _, H, W = x.shape
        outputs = self.encode(x)
        x = outputs[-1]
        if len(outputs) < 3:  # pruned: the features end at an earlier stage
            return cells_to_map(x, H // 16, W // 16, channels_last=True)
        x = self.norm(x)
        if self.has_class_token:
            return x
        return x.unflatten(1, (H // 16, W // 16))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool features (mean over patches), normalise and classify.

        Args:
            x: What `forward_features` returns.
            pre_logits: Stop before the head.

        Returns:
            [B, num_classes], or [B, D] without a head.
        """
        if self.global_pool == "avg":
            if not self.has_class_token:
                x = x.flatten(1, 2)
            elif not self.norm_before_pool:
                x = x[:, 1:]  # published: mean pooling leaves the class token out, unless norm comes first
            x = x.mean(1)
        x = self.head_drop(self.fc_norm(x))
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_chans, H, W] to logits [B, num_classes]."""
        return self.forward_head(self.forward_features(x))

    def pyramid_cells(self, stages: list[Tensor]) -> list[Tensor]:
        """The pyramid in cell order, from what `encode` returns.

        Returns:
            Strides 4, 8, 16: [B, N, 16, C], [B, N, 4, C], [B, N, 1, C].

        Raises:
            InputError: The model was built without a pyramid.
        """
        pyramid = self.pyramid
        if pyramid is None:
            raise InputError("this model has no pyramid", fix="create_model(..., pyramid=True)")
        f4, f8, x16 = stages
        x16 = (x16[:, 1:] if self.has_class_token else x16).unsqueeze(2)
        if _chunks_pay(f4, CHUNK_PATCHES):
            B, N = f4.shape[:2]
            pieces = [x.flatten(0, 1).split(CHUNK_PATCHES) for x in (f4, f8, x16)]
            chunks = [pyramid(*piece) for piece in zip(*pieces, strict=True)]
            return [torch.cat(parts).unflatten(0, (B, N)) for parts in zip(*chunks, strict=True)]
        return list(pyramid(f4, f8, x16))

    def pyramid_features(self, x: Tensor) -> list[Tensor]:
        """Feature maps for dense tasks.

        Args:
            x: [B, in_chans, H, W].

        Returns:
            Five NCHW maps of `pyramid_dim` channels at strides 4, 8, 16, 32, 64; the last two subsample the third.
        """
        height, width = x.shape[-2] // PATCH, x.shape[-1] // PATCH
        levels = [cells_to_map(level, height, width) for level in self.pyramid_cells(self.encode(x))]
        return _with_coarse_levels(levels)

    def forward_intermediates(
        self,
        x: Tensor,
        indices: int | list[int] | None = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> list[Tensor] | tuple[Tensor, list[Tensor]]:
        """Feature maps of chosen stages, or of chosen pyramid levels in a model with a pyramid.

        Args:
            x: [B, in_chans, H, W].
            indices: Which: the last n for an int, all for None. Stages are 0-2, pyramid levels 0-4.
            norm: Apply the final norm to stage 3 (a no-op in models that normalise after pooling).
            stop_early: Do not run stages after the last one asked for.
            output_fmt: "NCHW" or "NHWC".
            intermediates_only: Leave out the final features.

        Returns:
            The maps, or (what `forward_features` returns, maps).
        """
        if output_fmt not in ("NCHW", "NHWC"):
            raise InputError(f"output_fmt={output_fmt!r}", expected="'NCHW' or 'NHWC'")
        _, _, H, W = x.shape
        channels_last = output_fmt == "NHWC"
        take, last = feature_take_indices(len(self.feature_info), indices)
        outputs = self.encode(x, num_stages=last + 1 if stop_early and self.pyramid is None else 3)
        final = outputs[-1]
        if len(outputs) == 3:
            final = self.norm(final)
            if not self.has_class_token:
                final = final.unflatten(1, (H // 16, W // 16))
        else:
            final = cells_to_map(final, H // 16, W // 16, channels_last=True)
        if self.pyramid is not None:
            maps = _with_coarse_levels([cells_to_map(c, H // 16, W // 16) for c in self.pyramid_cells(outputs)])
            maps = [m.permute(0, 2, 3, 1) for m in maps] if channels_last else maps
        else:
            maps = []
            for i, cells in enumerate(outputs):
                if i == 2:
                    cells = (self.norm(cells) if norm else cells)[:, int(self.has_class_token) :].unsqueeze(2)
                maps.append(cells_to_map(cells, H // 16, W // 16, channels_last))
        intermediates = [maps[i] for i in take]
        return intermediates if intermediates_only else (final, intermediates)

    def prune_intermediate_layers(
        self, indices: int | list[int] | None = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Remove what the chosen features do not need (a pyramid needs the whole trunk).

        Returns:
            The indices, made non-negative.
        """
        take, last = feature_take_indices(len(self.feature_info), indices)
        ends_early = self.pyramid is None and last < len(self.stages) - 1
        if ends_early:
            self.stages = self.stages[: last + 1]  # type: ignore[assignment]
            self.num_features = self.head_hidden_size = int(self.feature_info[last]["num_chs"])
            self.pos_embed = None
            self.cls_token = None
            self.rel_pos_bias = None
            self.has_class_token = False
        if prune_norm or ends_early:
            self.norm = nn.Identity()
        if prune_head or ends_early:
            self.fc_norm = nn.Identity()
            self.reset_classifier(0)
        return take


def _with_coarse_levels(levels: list[Tensor]) -> list[Tensor]:
    """Append strides 32 and 64: subsampled 1/16 maps (the published fork's max pooling with a kernel of 1)."""
    half = levels[-1][..., ::2, ::2]
    return [*levels, half, half[..., ::2, ::2]]


def _chunks_pay(x: Tensor, size: int) -> bool:
    """Whether to work in chunks: eager inference on a CPU, with more than one chunk of patches."""
    if isinstance(x, fx.Proxy) or torch.jit.is_tracing() or torch.compiler.is_compiling():
        return False
    return x.device.type == "cpu" and not torch.is_grad_enabled() and x.shape[0] * x.shape[1] > size


def _check_arguments(
    global_pool: str, position_resize: str, relative_position: str | None, class_token: bool
) -> None:
    if global_pool not in ("avg", ""):
        raise InputError(f"global_pool={global_pool!r}", expected="'avg' or '' (no pooling)")
    if position_resize not in RESIZE_FORMS:
        raise InputError(f"position_resize={position_resize!r}", expected=f"one of {', '.join(RESIZE_FORMS)}")
    if relative_position is not None and not class_token:
        raise InputError(
            f"relative_position={relative_position!r} without a class token",
            expected="tables of the published form, which have rows for the class token",
            fix="class_token=True",
        )
