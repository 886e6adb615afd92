"""The pre-training model: trunk and pyramid, all levels merged at 1/16, one prediction per patch."""

from typing import Any

import torch
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.initialization import initialize_table
from fastitpn.models.layers import Norm
from fastitpn.models.linear import Linear
from fastitpn.models.registry import create_model

NORMS = ("end", "trunk_and_end")


class LevelMerge(nn.Module):
    """One pyramid level to 1/16: LN, then a convolution whose kernel and stride cover a patch (as a Linear)."""

    def __init__(self, cells_per_patch: int, dim: int, embed_dim: int, device=None, dtype=None):
        super().__init__()
        self.norm = Norm(dim, device=device, dtype=dtype)
        self.proj = Linear(cells_per_patch * dim, embed_dim, device=device, dtype=dtype)

    def forward(self, level: Tensor) -> Tensor:
        """[B, N, K, dim] to [B, N, embed_dim]."""
        return self.proj(self.norm(level).flatten(2))


class PretrainingModel(nn.Module):
    """Masked feature modelling with the published `merged` objective.

    Masked patches are replaced at the patch embedding, so every stage and every lateral sees masked input. All pyramid
    levels are projected to 1/16 and summed; one head predicts the teacher's tokens:

        prediction = predictor(norm(merge16(p16) + merge8(p8) + merge4(p4)))

    Args:
        backbone: A `FastITPN` with a pyramid and without pooling and head.
        teacher_dim: Width of the teacher's tokens.
        norm: "end": `norm` acts after the merge. "trunk_and_end": on the stage 3 tokens as well. The published position
            is not known (ARCHITECTURE section 2); the tensors are the same.
    """

    def __init__(self, backbone: FastITPN, *, teacher_dim: int, norm: str = "end", device=None, dtype=None):
        super().__init__()
        if norm not in NORMS:
            raise InputError(f"norm={norm!r}", expected=f"one of {', '.join(NORMS)}")
        dd = {"device": device, "dtype": dtype}
        self.backbone = backbone
        self.norm_on_trunk = norm == "trunk_and_end"
        self.teacher_dim = teacher_dim
        embed_dim = backbone.embed_dim
        self.mask_token = nn.Parameter(torch.empty(16, embed_dim // 4, **dd))
        self.merge16 = LevelMerge(1, backbone.pyramid.dim, embed_dim, **dd)
        self.merge8 = LevelMerge(4, backbone.pyramid.dim, embed_dim, **dd)
        self.merge4 = LevelMerge(16, backbone.pyramid.dim, embed_dim, **dd)
        self.norm = Norm(embed_dim, **dd)
        self.predictor = Linear(embed_dim, teacher_dim, **dd)
        if not self.mask_token.is_meta:
            self._init_own_weights()

    def init_weights(self) -> None:
        """Fill all weights with the published start values."""
        self.backbone.init_weights("pretrain")
        self._init_own_weights()

    def _init_own_weights(self) -> None:
        initialize_table(self.mask_token, "pretrain")
        for merge in (self.merge16, self.merge8, self.merge4):
            merge.norm.reset_parameters()
            merge.proj.reset_parameters()  # PyTorch's default, that of the convolution it is in the published code
        self.norm.reset_parameters()
        nn.init.xavier_normal_(self.predictor.weight)
        nn.init.zeros_(self.predictor.bias)

    def levels(self, images: Tensor, masked: Tensor | None = None) -> list[Tensor]:
        """Pyramid levels of a (masked) image, in cell order at strides 4, 8, 16."""
        stages = self.backbone.encode(images, masked, None if masked is None else self.mask_token)
        if self.norm_on_trunk:
            stages = [*stages[:2], self.norm(stages[2])]
        return self.backbone.pyramid_cells(stages)

    def merged_tokens(self, images: Tensor, masked: Tensor | None = None) -> Tensor:
        """All levels projected to 1/16 and summed, [B, N, D], before `norm` and the predictor."""
        p4, p8, p16 = self.levels(images, masked)
        return self.merge16(p16) + self.merge8(p8) + self.merge4(p4)

    def forward(self, images: Tensor, masked: Tensor | None = None) -> Tensor:
        """Predict the teacher's tokens.

        Args:
            images: [B, C, H, W].
            masked: [B, N] bool, True = hidden; N = H/16 * W/16. None hides nothing.

        Returns:
            [B, N, teacher_dim], for hidden and visible patches.
        """
        return self.predictor(self.norm(self.merged_tokens(images, masked)))


def create_pretraining_model(name: str, *, teacher_dim: int, norm: str = "end", **kw: Any) -> PretrainingModel:
    """Build the pre-training model of a named size, with the published start values.

    Args:
        name: `fastitpn_tiny`, ...
        teacher_dim: Width of the teacher's tokens.
        norm: "end" or "trunk_and_end", see `PretrainingModel`.
        **kw: As for `create_model` (`img_size`, `drop_path_rate`, `pyramid_dim`, ...).

    Returns:
        `model(images, masked) -> [B, N, teacher_dim]`; official pre-training files go in through `load_weights`.
    """
    kw = {"stop_grad_patch_embed": True, "weight_init": "pretrain", **kw}
    backbone = create_model(name, pyramid=True, num_classes=0, global_pool="", **kw)
    return PretrainingModel(
        backbone, teacher_dim=teacher_dim, norm=norm, device=kw.get("device"), dtype=kw.get("dtype")
    )
