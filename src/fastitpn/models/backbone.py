"""Fast-iTPN and its family: trunk, pyramid on top of it when asked for, head, and timm's contract for a model."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from timm.models._features import feature_take_indices
from timm.models._manipulate import MATCH_PREV_GROUP
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.architecture import ModelArguments
from fastitpn.models.fields_as_arguments import takes_fields_of
from fastitpn.models.layers.activation_checkpointing import lists_in_parts
from fastitpn.models.layers.cells import PATCH, cells_to_map
from fastitpn.models.layers.chunks import chunks_pay, in_chunks
from fastitpn.models.layers.norm import Norm, set_norm_eps
from fastitpn.models.pyramid import STRIDES, Pyramid
from fastitpn.models.sequences import SequenceEncoder
from fastitpn.models.timm_features import load_as_module
from fastitpn.models.weights.official_names import is_official

logger = logging.getLogger(__name__)


class FastITPN(SequenceEncoder):
    """Trunk with an optional feature pyramid and classification head: Fast-iTPN, or by its arguments iTPN or HiViT.

    Source: the published classifiers and pre-training models; same numerics, another memory layout (`cells`).

    The arguments are the fields of `ModelArguments`: those of `Architecture`, and how this model runs and starts.
    """

    @takes_fields_of(ModelArguments)
    def __init__(self, arguments: ModelArguments):
        super().__init__(arguments)
        self.set_acceleration(migration=arguments.migration, gathering=arguments.gathering)
        _check_pool(arguments.global_pool)
        dd: dict[str, Any] = {"device": arguments.device, "dtype": arguments.dtype}
        embed_dim = arguments.embed_dim
        self.num_classes = arguments.num_classes
        self.num_features = self.head_hidden_size = embed_dim
        self.global_pool = arguments.global_pool
        self.norm_before_pool = not arguments.fc_norm
        self.output_fmt = "NLC" if arguments.class_token else "NHWC"
        self.final_level: int | None = None  # of the pyramid, where a pruned model ends
        self.pyramid_joined = arguments.pyramid_joined
        self.pyramid = self.create_pyramid(arguments) if arguments.pyramid else None

        self.norm = nn.Identity() if arguments.fc_norm else Norm(embed_dim, **dd)
        self.fc_norm = Norm(embed_dim, **dd) if arguments.fc_norm and arguments.global_pool else nn.Identity()
        self.head_drop = nn.Dropout(arguments.drop_rate)
        self.head = nn.Linear(embed_dim, self.num_classes, **dd) if self.num_classes > 0 else nn.Identity()
        self.feature_info = self._describe_features(arguments.pyramid_channels)
        self.norm_eps = arguments.norm_eps
        set_norm_eps(self, self.norm_eps)
        if arguments.weight_init != "skip":
            self.init_weights(arguments.weight_init)

    def create_pyramid(self, arguments: ModelArguments) -> Pyramid:
        """A pyramid for this trunk, with weights that nobody has filled."""
        return Pyramid(
            self.embed_dim,
            arguments.pyramid_dim,
            int(arguments.pyramid_dim * arguments.pyramid_mlp_ratio),
            arguments.pyramid_depth,
            bias=self.family == "fastitpn",
            pool=arguments.pyramid_pool,
            device=arguments.device,
            dtype=arguments.dtype,
        )

    def _describe_features(self, pyramid_channels: Sequence[int]) -> list[dict[str, int | str]]:
        if self.pyramid is None:
            return [
                {"num_chs": dim, "reduction": stride, "module": f"stages.{i}"}
                for i, (dim, stride) in enumerate(zip(self.stage_dims, STRIDES, strict=False))
            ]
        return [
            {"num_chs": dim, "reduction": stride, "module": f"pyramid.output{stride}"}
            for dim, stride in zip(pyramid_channels, STRIDES, strict=True)
        ]

    @torch.jit.ignore
    def init_weights(self, scheme: str = "finetune") -> None:
        """Fill all weights with start values; see `initialization.initialize` for the schemes."""
        super().init_weights(scheme)
        if not next(self.parameters()).is_meta:
            self._init_head()

    @torch.no_grad()
    def _init_head(self) -> None:
        if isinstance(self.head, nn.Linear):
            nn.init.trunc_normal_(self.head.weight, std=0.02)
            self.head.weight.mul_(0.01)  # published: the head starts at a hundredth
            nn.init.zeros_(self.head.bias)

    @torch.jit.ignore
    def load_pretrained(self, checkpoint_path: str | Path, prefix: str = "") -> None:
        """Load a file in the way of timm, with `pretrained_cfg_overlay={"file": FILE}`.

        Args:
            checkpoint_path: Published weights, ours, or any that `load_weights` takes.
            prefix: What the names of the tensors begin with, where the file has several networks.

        Raises:
            InputError: The file cannot be read or does not fit.
        """
        from fastitpn.models.weights.loading import load_weights  # which imports this module

        logger.info("%s: %s", checkpoint_path, load_weights(self, checkpoint_path, prefix=prefix or None))

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As of any module; published names and nested dictionaries are taken, too, as timm's checkpoint_path gives.

        Args:
            state_dict: Names to tensors.
            strict: Refuse what does not fit.
            assign: Take the tensors themselves, not their values.

        Returns:
            Names that are missing, and names that have no place.
        """
        nested = any(isinstance(value, Mapping) for value in state_dict.values())
        if not nested and not is_official(state_dict):
            return super().load_state_dict(state_dict, strict, assign)
        if assign:
            raise InputError("assign=True with published names", fix="fastitpn.load_weights(model, state_dict)")
        return load_as_module(self, state_dict, strict)

    def forward_features(self, x: Tensor) -> Tensor:
        """[B, in_chans, H, W] to the final map [B, H/16, W/16, D]; with a class token, tokens [B, 1 + N, D]."""
        _, _, H, W = x.shape
        return self._final_features(self._encode(x), H // 16, W // 16)

    def _final_features(self, stages: list[Tensor], height: int, width: int) -> Tensor:
        """What `forward_features` returns, from what `encode` returns."""
        if self.final_level is not None and not torch.jit.is_scripting():
            return self._pyramid_maps(stages, height, width)[self.final_level].permute(0, 2, 3, 1)
        if len(stages) < 3:  # pruned: the features end at an earlier stage
            return cells_to_map(stages[-1], height, width, channels_last=True)
        x = self.norm(stages[-1])
        return x if self.has_class_token else x.unflatten(1, (height, width))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Pool features (mean over patches), normalise and classify.

        Args:
            x: What `forward_features` returns.
            pre_logits: Stop before the head.

        Returns:
            [B, num_classes], or [B, D] without a head.
        """
        if self.global_pool == "avg":
            if self.output_fmt == "NHWC":
                x = x.flatten(1, 2)
            elif not self.norm_before_pool:
                x = x[:, 1:]  # published: mean pooling leaves the class token out, unless norm comes first
            x = x.mean(1)
        x = self.head_drop(self.fc_norm(x))
        return x if pre_logits else self.head(x)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_chans, H, W] to logits [B, num_classes]."""
        return self.forward_head(self.forward_features(x))

    def pyramid_cells(self, stages: list[Tensor], recomputed: bool | None = None) -> list[Tensor]:
        """The pyramid in cell order, from what `encode` returns.

        Args:
            stages: Stages of the trunk, in cell order.
            recomputed: Compute activations again in the backward pass; None: with gradient checkpointing.

        Returns:
            Strides 4, 8, 16, as far as not pruned: [B, N, 16, C], [B, N, 4, C], [B, N, 1, C].

        Raises:
            InputError: The model was built without a pyramid.
        """
        pyramid = self.pyramid
        if pyramid is None:
            raise InputError("this model has no pyramid", fix="create_model(..., pyramid=True)")
        if self.grad_checkpointing and torch.is_grad_enabled() and recomputed is None:
            return lists_in_parts(lambda *part: self.pyramid_cells(list(part), recomputed=False), stages)
        f4, f8, x16 = stages
        x16 = (x16[:, 1:] if self.has_class_token else x16).unsqueeze(2)
        if chunks_pay(f4):
            return in_chunks(pyramid, [f4, f8, x16])
        return pyramid(f4, f8, x16)

    def _pyramid_maps(self, stages: list[Tensor], height: int, width: int) -> dict[int, Tensor]:
        """NCHW maps by their place in `STRIDES`, as far as not pruned."""
        cells = self.pyramid_cells(stages)
        assert self.pyramid is not None
        if self.pyramid_joined:
            patches = stages[2][:, int(self.has_class_token) :].unsqueeze(2)
            same_stride = [stages[0], stages[1], patches]
            cells = [torch.cat((x, same_stride[i]), -1) for i, x in zip(self.pyramid.levels, cells, strict=True)]
        maps = {i: cells_to_map(x, height, width) for i, x in zip(self.pyramid.levels, cells, strict=True)}
        if 2 in maps:
            maps[3] = self.pyramid.output32(maps[2])
            maps[4] = self.pyramid.output64(maps[3])
        return maps

    def pyramid_features(self, x: Tensor) -> list[Tensor]:
        """Feature maps for dense tasks.

        Args:
            x: [B, in_chans, H, W].

        Returns:
            Five NCHW maps of `pyramid_dim` channels at strides 4, 8, 16, 32, 64; the last two are made of the third, as
            `pyramid_pool` says. With `pyramid_joined` each has the channels of the stage of its stride, too.
        """
        height, width = x.shape[-2] // PATCH, x.shape[-1] // PATCH
        return list(self._pyramid_maps(self._encode(x), height, width).values())

    @torch.jit.ignore
    def no_weight_decay(self) -> set[str]:
        """Parameters without weight decay beyond 1-D ones, as published."""
        return {"pos_embed", "cls_token"} | (set() if self.registers is None else {"registers"})

    @torch.jit.ignore
    def group_matcher(self, coarse: bool = False) -> dict:
        """Layers for layer-wise learning-rate decay, as published: tokens with the embedding, each block, each merge.

        In iTPN a merge belongs to the block before it. Layers are found in a model that has this one as its `backbone`,
        too.
        """
        stem = r"^mask_token|^(?:backbone\.)?(?:patch_embed|pos_embed|cls_token|registers)"
        stage = r"^(?:backbone\.)?stages\.(\d+)"
        if coarse:
            return {"stem": stem, "blocks": stage}
        merges: list[tuple[str, tuple[int, ...]]] = [(rf"{stage}\.merge", (-1,))]
        if self.family == "itpn":
            merges = [(rf"^(?:backbone\.)?stages\.{i + 1}\.merge", (i, *MATCH_PREV_GROUP)) for i in range(2)]
        return {"stem": stem, "blocks": [*merges, (rf"{stage}\.blocks\.(\d+)", None)]}

    @property
    def layer_decay_exponent(self) -> float:
        """Power that the published training takes of the factor from one layer to the next; 1 in Fast-iTPN.

        iTPN's is that of a network of 12 blocks, whatever the depth.
        """
        blocks = sum(len(stage.blocks) for stage in self.stages)
        return 13 / (blocks + 1) if self.family == "itpn" else 1.0

    @torch.jit.ignore
    def get_classifier(self) -> nn.Module:
        """The classification head; an identity in a model without one."""
        return self.head

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the head with a fresh one.

        Args:
            num_classes: Classes; 0 for no head.
            global_pool: "avg" or ""; None keeps the present pooling.
        """
        weight = self.patch_embed.proj.weight
        dd: dict[str, Any] = {"device": weight.device, "dtype": weight.dtype}
        if global_pool is not None:
            _check_pool(global_pool)
            self.global_pool = global_pool
            if not global_pool:
                self.fc_norm = nn.Identity()
            elif not self.norm_before_pool and isinstance(self.fc_norm, nn.Identity):
                self.fc_norm = Norm(self.num_features, eps=self.norm_eps, **dd).train(self.training)
        self.num_classes = num_classes
        self.head_hidden_size = self.num_features
        self.head = nn.Linear(self.num_features, num_classes, **dd) if num_classes > 0 else nn.Identity()
        self.head.train(self.training)
        if num_classes > 0 and not self.head.weight.is_meta:
            self._init_head()

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
            indices: The last n maps for an int, all for None. Stages are 0-2, pyramid levels 0-4.
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
        take, last = feature_take_indices(len(self.feature_info), indices)
        outputs = self._encode(x, num_stages=last + 1 if stop_early and self.pyramid is None else 3)
        maps: dict[int, Tensor] = {}
        if self.pyramid is not None:
            maps = self._pyramid_maps(outputs, H // 16, W // 16)
        else:
            for i, cells in enumerate(outputs):
                if i == 2:
                    cells = (self.norm(cells) if norm else cells)[:, int(self.has_class_token) :].unsqueeze(2)
                maps[i] = cells_to_map(cells, H // 16, W // 16)
        intermediates = [maps[i].permute(0, 2, 3, 1) if output_fmt == "NHWC" else maps[i] for i in take]
        if intermediates_only:
            return intermediates
        return self._final_features(outputs, H // 16, W // 16), intermediates

    def prune_intermediate_layers(
        self, indices: int | list[int] | None = 1, prune_norm: bool = False, prune_head: bool = True
    ) -> list[int]:
        """Remove what the chosen features do not need; a pyramid needs the whole trunk.

        With its head the model keeps its output. Without, it ends at the last of the features.

        Returns:
            The indices, made non-negative.
        """
        take, last = feature_take_indices(len(self.feature_info), indices)
        ends_early = self.pyramid is None and last < len(self.stages) - 1
        if self.pyramid is not None:
            self.pyramid.prune(take)
            self.final_level = last if prune_head else None
        elif ends_early:
            self.stages = self.stages[: last + 1]
            self.pos_embed = None
            self.cls_token = self.registers = None
            self.rel_pos_bias = self.relative_position = None
            self.has_class_token = False
        if ends_early or self.final_level is not None:
            self.num_features = self.head_hidden_size = int(self.feature_info[last]["num_chs"])
            self.output_fmt = "NHWC"
        if prune_norm or ends_early or self.final_level is not None:
            self.norm = nn.Identity()
        if prune_head or ends_early:
            self.fc_norm = nn.Identity()
            self.reset_classifier(0)
        return take


def _check_pool(global_pool: str) -> None:
    if global_pool not in ("avg", ""):
        raise InputError(f"global_pool={global_pool!r}", expected="'avg' or '' (no pooling)")
