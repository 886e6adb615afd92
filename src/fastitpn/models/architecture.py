"""What the models of the iTPN family are made of, and the sizes that have a name.

Nothing heavy is imported here: the help of the commands needs the names.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What decides the parameters of a model and what it computes with them; the defaults are `fastitpn_base`'s."""

    img_size: int | tuple[int, int] = 224
    """Native input size in px, int or (height, width); sizes the position table. Any multiple of 16 runs."""
    in_chans: int = 3
    """Channels of the input."""
    num_classes: int = 1000
    """Classes of the head; 0 for none."""
    global_pool: str = "avg"
    """Pooling before the head: "avg", or "" to keep the map."""
    _: dataclasses.KW_ONLY
    family: str = "fastitpn"
    """"fastitpn", or "itpn" for iTPN (CVPR 2023) and HiViT. Those have a norm in the patch embedding, merges that
    normalise four cells together, layer scales in stages 1-2, too, a bias on keys, and fewer biases elsewhere."""
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
    """Start of the layer scales in stage 3 (iTPN: in all stages); 0 for none."""
    class_token: bool = False
    """Put a class token in front; `forward_features` then returns tokens [B, 1 + N, D]."""
    num_registers: int = 0
    """Learned tokens that attend with the patches in stage 3 and are dropped at its end (registers, 2309.16588)."""
    relative_position: str | None = None
    """None or "off"; "own" (per block), "shared" or "shared_decoupled". In Fast-iTPN these need a class token and a
    fixed input size, as in the published code. In iTPN, "own" follows any input size, and so does "decomposed" (per
    block, ViTDet's, of its detectors)."""
    fc_norm: bool = True
    """True: normalise after pooling, over patches only (published fine-tuning). False: normalise the tokens, then pool
    all of them."""
    position_resize: str = "size"
    """How the position table follows another input size, see `layers.position.resize_position_table`."""
    position_px: int = 0
    """Side in px of the image that the position table is of, where it is not `img_size` (iTPN's segmentation); else
    0."""
    norm_eps: float = 1e-6
    """Added to the variance in every LayerNorm; iTPN's detection and segmentation backbones have 1e-5."""
    pyramid: bool = False
    """Build the pyramid. `features_only` and `forward_intermediates` then give its five levels."""
    pyramid_dim: int = 256
    """Channels of its levels."""
    pyramid_mlp_ratio: float = 8 / 3
    """Hidden width of its blocks, as a multiple of `pyramid_dim` (published: 8/3, 682 at 256)."""
    pyramid_depth: int = 1
    """Refining blocks per level."""
    pyramid_pool: str = "subsample"
    """How the levels at strides 32 and 64 come from 1/16: "subsample", or 2x2 "average" or "max" (iTPN's)."""
    pyramid_joined: bool = False
    """Put the channels of the stage of the same stride behind those of each level (iTPN's segmentation)."""
    scorers: tuple[int, ...] = ()
    """Scorers of tokens for `Migration(metric="learned")`: how many (one for each step of migration), the queries of
    each, and what a query predicts while it learns; () for none."""
    gathering_tokens: int = 0
    """Gathering tokens per window that are learnt, for `Gathering(tokens="learned")`."""

    @property
    def px(self) -> int:
        """Side of the native input, the shorter one if it is not square."""
        return self.img_size if isinstance(self.img_size, int) else min(self.img_size)

    @property
    def pyramid_channels(self) -> tuple[int, int, int, int, int]:
        """Channels of the pyramid's levels, from stride 4 to 64."""
        stages = (self.embed_dim // 4, self.embed_dim // 2, *(3 * (self.embed_dim,)))
        low, middle, *coarse = (self.pyramid_dim + (dim if self.pyramid_joined else 0) for dim in stages)
        return low, middle, coarse[0], coarse[1], coarse[2]

    def changes(self) -> dict[str, Any]:
        """The fields that are not at their default."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != field.default
        }


@dataclasses.dataclass(frozen=True)
class ModelArguments(Architecture):
    """All that a model is built with: its architecture, and how this one runs, learns and starts."""

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


_ITPN: dict[str, Any] = {
    "family": "itpn",
    "mlp_ratio": 4.0,
    "swiglu": False,
    "sub_norm": False,
    "position_resize": "scale_factor",
    "pyramid_mlp_ratio": 4.0,
    "pyramid_pool": "average",
}
_CLIP: dict[str, Any] = {**_ITPN, "relative_position": "own"}
_PIXEL: dict[str, Any] = {**_ITPN, "init_values": 0.0, "pyramid_depth": 2}
_HIVIT: dict[str, Any] = {**_CLIP, "init_values": 0.0, "position_resize": "size"}
ARCHITECTURES: dict[str, Architecture] = {
    "fastitpn_nano": Architecture(embed_dim=192, depths=(1, 1, 6), num_heads=3, img_size=64, pyramid_dim=64),
    "fastitpn_tiny": Architecture(embed_dim=384, depths=(1, 1, 12), num_heads=6),
    "fastitpn_small": Architecture(embed_dim=384, depths=(2, 2, 20), num_heads=6),
    "fastitpn_base": Architecture(embed_dim=512, depths=(3, 3, 24), num_heads=8),
    "fastitpn_large": Architecture(embed_dim=768, depths=(2, 2, 40), num_heads=12, img_size=256),
    "itpn_base": Architecture(**_CLIP, embed_dim=512, depths=(3, 3, 24), num_heads=8),
    "itpn_large": Architecture(**_CLIP, embed_dim=768, depths=(2, 2, 40), num_heads=12),
    "itpn_base_pixel": Architecture(**_PIXEL, embed_dim=512, depths=(3, 3, 24), num_heads=8),
    "itpn_large_pixel": Architecture(**_PIXEL, embed_dim=768, depths=(2, 2, 40), num_heads=12),
    "hivit_tiny": Architecture(**_HIVIT, embed_dim=384, depths=(2, 2, 10), num_heads=6),
    "hivit_small": Architecture(**_HIVIT, embed_dim=384, depths=(4, 4, 20), num_heads=6),
    "hivit_base": Architecture(**_HIVIT, embed_dim=512, depths=(4, 4, 20), num_heads=8),
}
"""The published sizes, and `nano`, our own for CPUs and tests: 3.5 M parameters with its pyramid of 64 channels.

iTPN was pre-trained with CLIP's features (`itpn_base`) or on pixels (`itpn_base_pixel`: without layer scales, and
without relative positions, which its classifiers may have). HiViT is the trunk that iTPN grew from: it has no layer
scales, and its pyramid is always a fresh one.
"""
DEFAULT_MODEL = "fastitpn_tiny"
"""What is trained and measured where nobody names a size."""
