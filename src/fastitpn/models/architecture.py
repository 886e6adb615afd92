"""What a Fast-iTPN is made of, and the sizes that have a name.

Nothing heavy is imported here: the help of the commands needs the names.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What decides the parameters of a model and what it computes with them; the defaults are those of `base`."""

    img_size: int | tuple[int, int] = 224
    """Native input size in px, int or (height, width); sizes the position table. Any multiple of 16 runs."""
    in_chans: int = 3
    """Channels of the input."""
    num_classes: int = 1000
    """Classes of the head; 0 for none."""
    global_pool: str = "avg"
    """Pooling before the head: "avg", or "" to keep the map."""
    _: dataclasses.KW_ONLY
    embed_dim: int = 512
    """Channels D of stage 3; stages 1 and 2 have D/4 and D/2."""
    depths: tuple[int, int, int] = (3, 3, 24)
    """Blocks of stages 1, 2, 3."""
    num_heads: int = 8
    """Attention heads of stage 3."""
    cell_mlp_ratio: float = 3.0
    """Hidden width of the blocks in stages 1-2, as a multiple of their channels."""
    mlp_ratio: float = 3.0
    """Hidden width of the feed-forward network in stage 3, as a multiple of D."""
    swiglu: bool = True
    """SwiGLU in stage 3, else a GELU MLP."""
    sub_norm: bool = True
    """LayerNorm inside every MLP of the trunk."""
    qkv_bias: bool = True
    """Learn biases on queries and values."""
    init_values: float = 0.1
    """Start of the layer scales in stage 3; 0 for none."""
    class_token: bool = False
    """Put a class token in front; `forward_features` then returns tokens [B, 1 + N, D]."""
    relative_position: str | None = None
    """None, "own" (per block), "shared" or "shared_decoupled"; these need a class token and a fixed input size, as in
    the published code."""
    fc_norm: bool = True
    """True: normalise after pooling, over patches only (published fine-tuning). False: normalise the tokens, then pool
    all of them."""
    position_resize: str = "size"
    """How the position table follows another input size, see `layers.position.resize_position_table`."""
    pyramid: bool = False
    """Build the pyramid. `features_only` and `forward_intermediates` then give its five levels."""
    pyramid_dim: int = 256
    """Channels of its levels."""
    pyramid_mlp_ratio: float = 8 / 3
    """Hidden width of its blocks, as a multiple of `pyramid_dim` (published: 8/3, 682 at 256)."""
    pyramid_depth: int = 1
    """Refining blocks per level."""

    @property
    def px(self) -> int:
        """Side of the native input, the shorter one if it is not square."""
        return self.img_size if isinstance(self.img_size, int) else min(self.img_size)

    def changes(self) -> dict[str, Any]:
        """The fields that are not at their default."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }


@dataclasses.dataclass(frozen=True)
class ModelArguments(Architecture):
    """All that a `FastITPN` is built with: its architecture, and how this one runs, learns and starts."""

    _: dataclasses.KW_ONLY
    migration: Migration | Mapping[str, Any] | None = None
    """Token migration in stage 3: redundant tokens leave early and are put back at its end."""
    gathering: Gathering | Mapping[str, Any] | None = None
    """Token gathering in stage 3: attention in windows. Both can be switched later, see `set_acceleration`."""
    stop_grad_patch_embed: bool = False
    """Scale the gradient of the patch embedding by 0.1 (published pre-training)."""
    drop_rate: float = 0.0
    """Dropout before the head."""
    proj_drop_rate: float = 0.0
    """Dropout in the blocks of stage 3."""
    drop_path_rate: float = 0.0
    """Stochastic depth, rising linearly from 0 over all blocks."""
    weight_init: str = "finetune"
    """Start values: "finetune", "pretrain" or "skip"; see `initialization`."""
    device: Any = None
    """Device of the parameters; "meta" for none of them yet."""
    dtype: Any = None
    """Type of the parameters; None for PyTorch's default."""


ARCHITECTURES: dict[str, Architecture] = {
    "fastitpn_nano": Architecture(embed_dim=192, depths=(1, 1, 6), num_heads=3, img_size=64, pyramid_dim=64),
    "fastitpn_tiny": Architecture(embed_dim=384, depths=(1, 1, 12), num_heads=6),
    "fastitpn_small": Architecture(embed_dim=384, depths=(2, 2, 20), num_heads=6),
    "fastitpn_base": Architecture(embed_dim=512, depths=(3, 3, 24), num_heads=8),
    "fastitpn_large": Architecture(embed_dim=768, depths=(2, 2, 40), num_heads=12, img_size=256),
}
"""The published sizes, and `nano`, our own for CPUs and tests: 3.5 M parameters with its pyramid of 64 channels."""
DEFAULT_MODEL = "fastitpn_tiny"
"""What is trained and measured where nobody names a size."""
