"""The student of several teachers: each has predictions of its own, from the levels that it supervises."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from fastitpn.models.backbone import FastITPN
from fastitpn.pretraining.level_merge import LevelMerge
from fastitpn.pretraining.masked_model import MaskedModel, Predictor
from fastitpn.pretraining.predictions import LEVELS, SUMMARY, of_teacher

MERGED = "merged"


class TeachersModel(MaskedModel):
    """Trunk, pyramid and merged levels are shared; a norm and a linear layer (or an MLP) predict for each teacher.

    Args:
        backbone: A `FastITPN` with a pyramid and without pooling and head.
        teachers: Of each teacher, the width of its targets by the name of their level: `merged`, `stride4`, `stride8`,
            `stride16`, and `summary`, which is predicted from the mean of the trunk's tokens.
        teacher_dim: Width of the first of them.
        mlp_predictor: A hidden layer before each prediction.
        **keys: `device` and `dtype`.
    """

    def __init__(
        self,
        backbone: FastITPN,
        *,
        teachers: Sequence[Mapping[str, int]],
        teacher_dim: int,
        mlp_predictor: bool = False,
        **keys: Any,
    ):
        super().__init__(backbone, teacher_dim=teacher_dim, mlp_predictor=mlp_predictor, **keys)
        dd: dict[str, Any] = {name: keys.get(name) for name in ("device", "dtype")}
        pyramid, width = backbone.pyramid, backbone.embed_dim
        assert pyramid is not None
        apart = backbone.family == "itpn"
        wanted = {
            of_teacher(number, level): (level, dim)
            for number, dims in enumerate(teachers, 1)
            for level, dim in dims.items()
        }
        self.levels_of = {name: level for name, (level, _) in wanted.items()}
        self.names = tuple(wanted)
        if MERGED in self.levels_of.values():
            self.merge16 = LevelMerge(1, pyramid.dim, width, **dd)
            self.merge8 = LevelMerge(4, pyramid.dim, width, apart=apart, **dd)
            self.merge4 = LevelMerge(16, pyramid.dim, width, apart=apart, **dd)
        self.predictors = nn.ModuleDict(
            {
                name: Predictor(pyramid.dim if level in LEVELS else width, dim, mlp=mlp_predictor, **dd)
                for name, (level, dim) in wanted.items()
            }
        )
        self.init_own_weights()

    def init_own_weights(self) -> None:
        """Fill the weights outside the backbone with the start values of the published prediction."""
        super().init_own_weights()
        if self.mask_token.is_meta:
            return
        for predictor in self.predictors.values():
            cast(Predictor, predictor).reset_parameters()
        if MERGED in self.levels_of.values():
            for merge in (self.merge16, self.merge8, self.merge4):
                merge.norm.reset_parameters()
                merge.proj.reset_parameters()

    def main(self, stages: list[Tensor]) -> dict[str, Tensor]:
        """Every prediction, [B, N, cells, dim], and [B, 1, 1, dim] for a summary."""
        return dict(zip(self.names, self.from_stages(self._predict, stages), strict=True))

    def _predict(self, stages: list[Tensor]) -> list[Tensor]:
        maps = dict(zip(LEVELS, self.pyramid(stages), strict=True))
        kinds = set(self.levels_of.values())
        if MERGED in kinds:
            p4, p8, p16 = maps.values()
            maps[MERGED] = (self.merge16(p16) + self.merge8(p8) + self.merge4(p4)).unsqueeze(2)
        if SUMMARY in kinds:
            maps[SUMMARY] = stages[2].mean(1)[:, None, None]
        return [self.predictors[name](maps[level]) for name, level in self.levels_of.items()]

    def forward(self, images: Tensor, masked: Tensor | None = None) -> dict[str, Tensor]:
        """See `predict`."""
        return self.predict(images, masked)
