"""The hierarchical trunk: two attention-free stages inside 16x16 patches, and a stage of attention between them."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from timm.layers import calculate_drop_path_rates, to_2tuple
from torch import fx, nn

from fastitpn.errors import InputError
from fastitpn.models.acceleration.criteria.learned import Scorer
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.acceleration.settings import PRESETS, Acceleration, resolve_acceleration
from fastitpn.models.acceleration.windows import GatheringTokens
from fastitpn.models.architecture import Architecture, ModelArguments
from fastitpn.models.initialization import initialize, initialize_table
from fastitpn.models.layers.attention import AttentionBlock
from fastitpn.models.layers.cell_blocks import CellBlock, CellMerge, PatchEmbed
from fastitpn.models.layers.cells import PATCH
from fastitpn.models.layers.position import RESIZE_FORMS, resize_position_table
from fastitpn.models.layers.relative_position import (
    OF_BLOCKS,
    DecomposedRelativePosition,
    RelativePositionBias,
    create_relative_position_bias,
    initialize_relative_positions,
)

_RELATIVE_POSITIONS = {"fastitpn": ("own", "shared", "shared_decoupled"), "itpn": OF_BLOCKS}


@fx.wrap
def check_image_size(height: int, width: int) -> None:
    """Raise unless both sides are multiples of 16."""
    if height % 16 == 0 and width % 16 == 0 and height > 0 and width > 0:
        return
    up, across = max(16, -(-height // 16) * 16), max(16, -(-width // 16) * 16)
    message = (
        f"image of {height}x{width} px: height and width must be multiples of 16; pad or resize it to {up}x{across}"
    )
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
    """Patch embedding and the three stages."""

    def __init__(self, arguments: ModelArguments):
        super().__init__()
        _check_positions(arguments)
        relative_position = _relative_position(arguments)
        height, width = to_2tuple(arguments.img_size)
        check_image_size(height, width)
        self.family, self.relative_position = arguments.family, relative_position
        self.in_chans = arguments.in_chans
        self.embed_dim = arguments.embed_dim
        self.init_values = arguments.init_values
        self.num_attention_blocks = arguments.depths[2]
        self.position_resize = arguments.position_resize
        self.stop_grad_patch_embed = arguments.stop_grad_patch_embed
        self.has_class_token = arguments.class_token
        self.grad_checkpointing = False
        self.acceleration: Acceleration = resolve_acceleration(None)
        self.grid_size: tuple[int, int] = (height // PATCH, width // PATCH)
        table_side = arguments.position_px // PATCH
        self.position_grid: tuple[int, int] = (table_side, table_side) if table_side else self.grid_size
        dd = {"device": arguments.device, "dtype": arguments.dtype}
        num_tokens = self.position_grid[0] * self.position_grid[1] + int(arguments.class_token)
        shared = None if relative_position in OF_BLOCKS else relative_position
        self.patch_embed = PatchEmbed(arguments.in_chans, self.stage_dims[0], norm=self.family == "itpn", **dd)
        self.stages: Any = nn.ModuleList(_build_stages(arguments, self.stage_dims, self.grid_size))
        self.cls_token = nn.Parameter(torch.empty(1, 1, self.embed_dim, **dd)) if arguments.class_token else None
        self.registers: nn.Parameter | None = None
        if arguments.num_registers:
            self.registers = nn.Parameter(torch.empty(1, arguments.num_registers, self.embed_dim, **dd))
        self.pos_embed: nn.Parameter | None = nn.Parameter(torch.empty(1, num_tokens, self.embed_dim, **dd))
        self.rel_pos_bias = create_relative_position_bias(
            shared, self.grid_size, arguments.num_heads, head_dim=self.embed_dim // arguments.num_heads, **dd
        )
        count, *sizes = arguments.scorers or (0,)
        self.scorers: Any = nn.ModuleList(Scorer(self.embed_dim, *sizes, **dd) for _ in range(count)) if count else None
        self.gathering_tokens: Any = None
        if arguments.gathering_tokens:
            self.gathering_tokens = GatheringTokens(self.embed_dim, arguments.gathering_tokens, **dd)

    @property
    def stage_dims(self) -> tuple[int, int, int]:
        """Channels of the three stages."""
        return self.embed_dim // 4, self.embed_dim // 2, self.embed_dim

    @property
    def mask_token_shape(self) -> tuple[int, int]:
        """What stands in for a hidden patch: all its cells in stage 1, or in iTPN its token before stage 3."""
        return (1, self.embed_dim) if self.family == "itpn" else (16, self.embed_dim // 4)

    @property
    def start_values(self) -> dict[str, Any]:
        """What `initialization.initialize` must know of this model."""
        return {
            "init_values": self.init_values,
            "num_attention_blocks": self.num_attention_blocks,
            "family": self.family,
        }

    @torch.jit.ignore
    def init_weights(self, scheme: str = "finetune") -> None:
        """Fill all weights with start values; see `initialization.initialize` for the schemes."""
        if next(self.parameters()).is_meta:
            return
        initialize(self, scheme, **self.start_values)
        for table in (self.pos_embed, self.cls_token, self.registers):
            if table is not None:
                initialize_table(table, scheme)
        initialize_relative_positions(self)
        for scorer in self.scorers or ():
            scorer.init_queries()

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
            new = Acceleration.from_dict({"migration": migration, "gathering": gathering})
            same = (p for p in PRESETS.values() if (p.migration, p.gathering) == (new.migration, new.gathering))
            value = next(same, new)
        acceleration = resolve_acceleration(value)
        if self.registers is not None and not acceleration.off:
            raise InputError(
                "a model with registers cannot be accelerated: they are in no window and never leave",
                where="acceleration",
                expected="off",
                fix="acceleration=off, or a model without registers",
            )
        acceleration.check(
            self.num_attention_blocks,
            self.grid_size,
            class_token=self.has_class_token,
            relative_position=self._has_relative_positions()
            and (self.has_class_token or self.relative_position != "own"),
        )
        self._check_scorers(acceleration)
        if acceleration.num_learned_tokens > (
            0 if self.gathering_tokens is None else len(self.gathering_tokens.values)
        ):
            weight = self.patch_embed.proj.weight
            dd = {"device": weight.device, "dtype": weight.dtype}
            self.gathering_tokens = GatheringTokens(self.embed_dim, acceleration.num_learned_tokens, **dd)
        learns = acceleration.num_scorers > 0, acceleration.learns_tokens(self.grid_size)
        for part, used in zip((self.scorers, self.gathering_tokens), learns, strict=True):
            if part is not None:
                part.requires_grad_(used)  # other processes must not wait for the gradient of what no pass uses
        self.acceleration = acceleration

    def _check_scorers(self, acceleration: Acceleration) -> None:
        """Raise unless the model has the scorers that an acceleration needs."""
        needed, present = acceleration.num_scorers, len(self.scorers or ())
        if needed > present:
            raise InputError(
                f"tokens are to leave at {needed} steps by learned scores; this model has learnt those of {present}",
                where="acceleration.migration.metric",
                expected="weights that were trained with criterion=learned",
                fix="fastitpn finetune TASK weights=RUN data=FOLDER acceleration=balanced criterion=learned",
            )

    def _has_relative_positions(self) -> bool:
        return self.relative_position is not None

    def __prepare_scriptable__(self) -> "Trunk":
        if not self.acceleration.off:
            raise InputError(
                "TorchScript of an accelerated model: it has only the plain model",
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
        if self.has_class_token and self._has_relative_positions():
            raise InputError(
                "a model with relative positions runs at the size it was built for",
                expected=f"{self.grid_size[0] * PATCH}x{self.grid_size[1] * PATCH} px",
                fix=f"create_model(..., img_size=({height}, {width}))",
            )
        if self.pos_embed is not None:
            table = self.pos_embed
            resized = resize_position_table(table.detach(), *self.position_grid, *new_grid, self.position_resize)
            self.pos_embed = nn.Parameter(resized.contiguous(), requires_grad=table.requires_grad)
        for module in self.modules():
            if isinstance(module, RelativePositionBias | DecomposedRelativePosition):
                module.resize_(new_grid)
        self.grid_size = self.position_grid = new_grid


def _build_stages(arguments: ModelArguments, dims: tuple[int, int, int], grid: tuple[int, int]) -> list[Stage]:
    """The three stages with fresh parameters; the rate of stochastic depth rises from block to block."""
    dd = {"device": arguments.device, "dtype": arguments.dtype}
    is_itpn = arguments.family == "itpn"
    drop_path: Iterator[Any] = iter(calculate_drop_path_rates(arguments.drop_path_rate, sum(arguments.depths)))
    stages = []
    for i in range(2):
        merge = CellMerge(dims[i - 1], joined=is_itpn, **dd) if i > 0 else nn.Identity()
        hidden = int(dims[i] * arguments.cell_mlp_ratio)
        blocks: list[nn.Module] = [
            CellBlock(
                dims[i],
                hidden,
                sub_norm=arguments.sub_norm,
                layer_scale=is_itpn and bool(arguments.init_values),
                drop_path=next(drop_path),
                **dd,
            )
            for _ in range(arguments.depths[i])
        ]
        stages.append(Stage(merge, blocks))
    attention_blocks: list[nn.Module] = [
        AttentionBlock(
            dims[2],
            arguments.num_heads,
            hidden=int(dims[2] * arguments.mlp_ratio),
            swiglu=arguments.swiglu,
            sub_norm=arguments.sub_norm,
            qkv_bias=arguments.qkv_bias,
            key_bias=is_itpn,
            init_values=arguments.init_values,
            relative_position=_relative_position(arguments),
            class_token=arguments.class_token,
            grid=grid,
            drop=arguments.proj_drop_rate,
            drop_path=next(drop_path),
            **dd,
        )
        for _ in range(arguments.depths[2])
    ]
    return [*stages, Stage(CellMerge(dims[1], joined=is_itpn, **dd), attention_blocks)]


def _relative_position(architecture: Architecture) -> str | None:
    """The kind, None for none: timm drops arguments that are None, so that none can be asked for as "off", too."""
    return None if architecture.relative_position == "off" else architecture.relative_position


def _check_positions(architecture: Architecture) -> None:
    family, form, kind = architecture.family, architecture.position_resize, _relative_position(architecture)
    if family not in _RELATIVE_POSITIONS:
        raise InputError(f"family={family!r}", expected=f"one of {', '.join(_RELATIVE_POSITIONS)}")
    if architecture.position_px % PATCH:
        raise InputError(f"position_px={architecture.position_px}", expected=f"a multiple of {PATCH}, or 0")
    if form not in RESIZE_FORMS:
        raise InputError(f"position_resize={form!r}", expected=f"one of {', '.join(RESIZE_FORMS)}")
    if kind is not None and kind not in _RELATIVE_POSITIONS[family]:
        kinds = ", ".join(_RELATIVE_POSITIONS[family])
        raise InputError(f"relative_position={kind!r}", expected=f"None or one of {kinds}")
    if architecture.num_registers < 0 or (kind is not None and architecture.num_registers):
        raise InputError(
            f"num_registers={architecture.num_registers} with relative_position={kind!r}",
            expected="0 or more, and 0 with relative positions, which registers have none of",
            fix="num_registers=0",
        )
    if kind is not None and architecture.class_token and family == "itpn":
        raise InputError(
            f"relative_position={kind!r} with a class token",
            expected="tables of the published form, which have no rows for a class token",
            fix="class_token=False",
        )
    if kind is not None and not architecture.class_token and family == "fastitpn":
        raise InputError(
            f"relative_position={kind!r} without a class token",
            expected="tables of the published form, which have rows for the class token",
            fix="class_token=True",
        )
