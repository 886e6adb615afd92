"""The models of the three objectives: all levels merged at 1/16, every level on its own, and the trunk alone."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.architecture import ARCHITECTURES
from fastitpn.models.backbone import FastITPN
from fastitpn.models.layers.norm import Norm
from fastitpn.models.layers.onednn import Linear
from fastitpn.models.registry import create_model
from fastitpn.pretraining.level_merge import LevelMerge
from fastitpn.pretraining.masked_model import MaskedModel, Predictor, hidden_layer, initialize_linears
from fastitpn.pretraining.predictions import LEVELS
from fastitpn.pretraining.teachers_model import TeachersModel

NORMS = ("end", "trunk_and_end")


class PretrainingModel(MaskedModel):
    """Masked feature modelling with the published `merged` objective.

    Masked patches are replaced at the patch embedding, so every stage and every lateral sees masked input. All pyramid
    levels are projected to 1/16 and summed; one head predicts the teacher's tokens:

        prediction = predictor(norm(merge16(p16) + merge8(p8) + merge4(p4)))

    Args:
        backbone: A `FastITPN` with a pyramid and without pooling and head.
        teacher_dim: Width of the teacher's tokens.
        norm: "end": `norm` acts after the merge. "trunk_and_end": on the stage 3 tokens as well. The published position
            is not known (ARCHITECTURE section 2); the tensors are the same.
        auxiliary_dim: Width of the targets of a second prediction from deep in the trunk; None for none.
        mlp_predictor: A hidden layer before each prediction.
    """

    names = ("merged",)

    def __init__(
        self,
        backbone: FastITPN,
        *,
        teacher_dim: int,
        norm: str = "end",
        auxiliary_dim: int | None = None,
        mlp_predictor: bool = False,
        device=None,
        dtype=None,
    ):
        if norm not in NORMS:
            raise InputError(f"norm={norm!r}", expected=f"one of {', '.join(NORMS)}")
        dd = {"device": device, "dtype": dtype}
        super().__init__(
            backbone, teacher_dim=teacher_dim, auxiliary_dim=auxiliary_dim, mlp_predictor=mlp_predictor, **dd
        )
        self.norm_on_trunk = norm == "trunk_and_end"
        embed_dim, pyramid = backbone.embed_dim, backbone.pyramid
        assert pyramid is not None
        apart = backbone.family == "itpn"
        self.merge16 = LevelMerge(1, pyramid.dim, embed_dim, **dd)
        self.merge8 = LevelMerge(4, pyramid.dim, embed_dim, apart=apart, **dd)
        self.merge4 = LevelMerge(16, pyramid.dim, embed_dim, apart=apart, **dd)
        self.norm = Norm(embed_dim, **dd)
        self.predictor_hidden = hidden_layer(embed_dim, **dd) if mlp_predictor else nn.Identity()
        self.predictor = Linear(embed_dim, teacher_dim, **dd)
        self.init_own_weights()

    def init_own_weights(self) -> None:
        """Fill the weights outside the backbone with the published start values."""
        super().init_own_weights()
        if self.mask_token.is_meta:
            return
        for merge in (self.merge16, self.merge8, self.merge4):
            merge.norm.reset_parameters()
            merge.proj.reset_parameters()  # PyTorch's default, that of the convolution it is in the published code
        self.norm.reset_parameters()
        initialize_linears([self.predictor_hidden, self.predictor])

    def pyramid(self, stages: list[Tensor]) -> list[Tensor]:
        """Pyramid levels from the trunk's stages, normalised first where `norm` says so."""
        if self.norm_on_trunk:
            stages = [*stages[:2], self.norm(stages[2])]
        return super().pyramid(stages)

    def merged_tokens(self, images: Tensor, masked: Tensor | None = None) -> Tensor:
        """All levels projected to 1/16 and summed, [B, N, D], before `norm` and the predictor."""
        return self._merge(self.encode(images, masked))

    def main(self, stages: list[Tensor]) -> dict[str, Tensor]:
        """One prediction a patch from all levels: {"merged": [B, N, 1, teacher_dim]}."""
        return {"merged": self.predictor(self.predictor_hidden(self.norm(self._merge(stages)))).unsqueeze(2)}

    def _merge(self, stages: list[Tensor]) -> Tensor:
        return self.from_stages(self._merge_levels, stages)[0]

    def _merge_levels(self, stages: list[Tensor]) -> list[Tensor]:
        p4, p8, p16 = self.pyramid(stages)
        return [self.merge16(p16) + self.merge8(p8) + self.merge4(p4)]

    def forward(self, images: Tensor, masked: Tensor | None = None) -> Tensor:
        """Predict the teacher's tokens.

        Args:
            images: [B, C, H, W].
            masked: [B, N] bool, True = hidden; N = H/16 * W/16. None hides nothing.

        Returns:
            [B, N, teacher_dim], for hidden and visible patches.
        """
        return self.main(self.encode(images, masked))["merged"].squeeze(2)


class PerLevelModel(MaskedModel):
    """Every pyramid level predicts the teacher's features at its own stride, each with a head of its own.

    The arguments are those of `MaskedModel`; the backbone has a pyramid.
    """

    names = LEVELS

    def __init__(self, backbone: FastITPN, *, teacher_dim: int, mlp_predictor: bool = False, **keys: Any):
        super().__init__(backbone, teacher_dim=teacher_dim, mlp_predictor=mlp_predictor, **keys)
        dd = {name: keys.get(name) for name in ("device", "dtype")}
        assert backbone.pyramid is not None
        self.level_predictors = nn.ModuleDict(
            {name: Predictor(backbone.pyramid.dim, teacher_dim, mlp=mlp_predictor, **dd) for name in LEVELS}
        )
        self.init_own_weights()

    def init_own_weights(self) -> None:
        """Fill the weights outside the backbone with start values."""
        super().init_own_weights()
        if not self.mask_token.is_meta:
            for predictor in self.level_predictors.values():
                cast(Predictor, predictor).reset_parameters()

    def main(self, stages: list[Tensor]) -> dict[str, Tensor]:
        """A prediction for every cell of every level, [B, N, cells, teacher_dim]."""
        return dict(zip(LEVELS, self.from_stages(self._predict_levels, stages), strict=True))

    def _predict_levels(self, stages: list[Tensor]) -> list[Tensor]:
        return [self.level_predictors[name](level) for name, level in zip(LEVELS, self.pyramid(stages), strict=True)]

    def forward(self, images: Tensor, masked: Tensor | None = None) -> dict[str, Tensor]:
        """See `predict`."""
        return self.predict(images, masked)


class TrunkModel(MaskedModel):
    """For comparison: no pyramid, the trunk's tokens predict the teacher's. The arguments are `MaskedModel`'s."""

    names = ("trunk",)

    def __init__(self, backbone: FastITPN, *, teacher_dim: int, mlp_predictor: bool = False, **keys: Any):
        super().__init__(backbone, teacher_dim=teacher_dim, mlp_predictor=mlp_predictor, **keys)
        dd = {name: keys.get(name) for name in ("device", "dtype")}
        self.trunk_predictor = Predictor(backbone.embed_dim, teacher_dim, mlp=mlp_predictor, **dd)
        self.init_own_weights()

    def init_own_weights(self) -> None:
        """Fill the weights outside the backbone with start values."""
        super().init_own_weights()
        if not self.mask_token.is_meta:
            self.trunk_predictor.reset_parameters()

    def main(self, stages: list[Tensor]) -> dict[str, Tensor]:
        """One prediction a patch: {"trunk": [B, N, 1, teacher_dim]}."""
        return {"trunk": self.trunk_predictor(stages[2]).unsqueeze(2)}

    def levels(self, images: Tensor, masked: Tensor | None = None) -> list[Tensor]:
        """The trunk's stages, since there is no pyramid: at strides 4, 8, 16."""
        f4, f8, x16 = self.encode(images, masked)
        return [f4, f8, x16.unsqueeze(2)]

    def forward(self, images: Tensor, masked: Tensor | None = None) -> dict[str, Tensor]:
        """See `predict`."""
        return self.predict(images, masked)


OBJECTIVES: dict[str, type[MaskedModel]] = {"merged": PretrainingModel, "per_level": PerLevelModel, "trunk": TrunkModel}
"""The student of one teacher; that of several is `TeachersModel`."""


def create_pretraining_model(
    name: str,
    *,
    teacher_dim: int,
    norm: str = "end",
    objective: str = "merged",
    auxiliary_dim: int | None = None,
    mlp_predictor: bool = False,
    teachers: Sequence[Mapping[str, int]] | None = None,
    **kw: Any,
) -> MaskedModel:
    """Build the pre-training model of a named size, with the published start values.

    Args:
        name: `fastitpn_tiny`, ..., or `itpn_base`, whose published form is that of `auxiliary_dim=teacher_dim`.
        teacher_dim: Width of the teacher's tokens.
        norm: "end" or "trunk_and_end", see `PretrainingModel`; for `merged` alone.
        objective: "merged" (published), "per_level" or "trunk".
        auxiliary_dim: Width of the targets of a second prediction from deep in the trunk; None for none.
        mlp_predictor: A hidden layer before each prediction.
        teachers: Of several teachers, the widths of their targets by level, see `TeachersModel`.
        **kw: As for `create_model` (`img_size`, `drop_path_rate`, `pyramid_dim`, ...).

    Returns:
        `model(images, masked) -> [B, N, teacher_dim]`; official pre-training files go in through `load_weights`. The
        models of the other objectives give a dict, see `MaskedModel.predict`.

    Raises:
        InputError: There is no such objective, or it has no such norm.
    """
    if objective not in OBJECTIVES:
        raise InputError(f"objective={objective!r}", expected=f"one of {', '.join(OBJECTIVES)}")
    kw = {"weight_init": "pretrain", **kw}
    if name in ARCHITECTURES and ARCHITECTURES[name].family == "fastitpn":
        kw.setdefault("stop_grad_patch_embed", True)
    backbone = create_model(name, pyramid=objective != "trunk", num_classes=0, global_pool="", **kw)
    keys = {"auxiliary_dim": auxiliary_dim, "mlp_predictor": mlp_predictor, "teacher_dim": teacher_dim}
    keys |= {name: kw.get(name) for name in ("device", "dtype")}
    return wrap(backbone, objective, norm=norm, teachers=teachers, **keys)


def wrap(
    backbone: FastITPN,
    objective: str,
    *,
    norm: str = "end",
    teachers: Sequence[Mapping[str, int]] | None = None,
    **keys: Any,
) -> MaskedModel:
    """The model of an objective, or of several teachers, around a backbone; `keys` are those of `MaskedModel`."""
    if teachers is not None:
        if (objective, norm, keys.pop("auxiliary_dim", None)) != ("merged", "end", None):
            raise InputError(
                f"several teachers with objective={objective} and norm={norm}",
                expected="objective=merged, norm=end and no auxiliary prediction; each teacher has levels of its own",
            )
        return TeachersModel(backbone, teachers=teachers, **keys)
    if objective == "merged":
        return PretrainingModel(backbone, norm=norm, **keys)
    if norm != "end":
        raise InputError(f"norm={norm!r} with objective={objective}", expected="end", fix="objective=merged")
    return OBJECTIVES[objective](backbone, **keys)
