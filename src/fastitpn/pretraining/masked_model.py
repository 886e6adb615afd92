"""What all objectives share: a backbone that sees masked images, and a second prediction from deep in its trunk."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from timm.models import checkpoint
from torch import Tensor, nn

from fastitpn.models.backbone import FastITPN
from fastitpn.models.initialization import initialize, initialize_table
from fastitpn.models.layers.activation_checkpointing import lists_in_parts
from fastitpn.models.layers.cells import PATCH
from fastitpn.models.layers.norm import Norm, set_norm_eps
from fastitpn.models.layers.onednn import Linear
from fastitpn.models.layers.relative_position import initialize_relative_positions
from fastitpn.models.taps import Taps

AUXILIARY_DEPTH = 0.75
"""Where the auxiliary prediction leaves the trunk: one block after this share of stage 3's depth."""
AUXILIARY_BLOCKS = 2
"""Attention blocks of its own."""


class Predictor(nn.Module):
    """Norm and Linear, with an MLP's hidden layer between them if asked for: [..., dim] to [..., teacher_dim]."""

    def __init__(self, dim: int, teacher_dim: int, *, mlp: bool = False, device=None, dtype=None):
        super().__init__()
        dd = {"device": device, "dtype": dtype}
        self.norm = Norm(dim, **dd)
        self.hidden = hidden_layer(dim, **dd) if mlp else nn.Identity()
        self.proj = Linear(dim, teacher_dim, **dd)

    def reset_parameters(self) -> None:
        """Start values as those of the published prediction."""
        self.norm.reset_parameters()
        initialize_linears([self.hidden, self.proj])

    def forward(self, x: Tensor) -> Tensor:
        """[..., dim] to [..., teacher_dim]."""
        return self.proj(self.hidden(self.norm(x)))


class Auxiliary(nn.Module):
    """The published iTPN's second head: from a deep block of the trunk, through two blocks of its own, to the teacher.

    It trains the trunk directly, not through the pyramid.
    """

    def __init__(self, backbone: FastITPN, teacher_dim: int, *, mlp: bool = False, device=None, dtype=None):
        super().__init__()
        blocks = list(backbone.stages[2].blocks.children())
        self.after = int(AUXILIARY_DEPTH * len(blocks)) + 1
        self.blocks = nn.Sequential(*(copy.deepcopy(blocks[-1]) for _ in range(AUXILIARY_BLOCKS)))
        self.predictor = Predictor(backbone.embed_dim, teacher_dim, mlp=mlp, device=device, dtype=dtype)
        self.grad_checkpointing = False
        self._start = backbone.start_values
        if backbone.family == "itpn":
            set_norm_eps(self.blocks, 1e-5)  # as published, whatever the trunk has

    def reset_parameters(self) -> None:
        """Start values as those of the trunk."""
        initialize(self.blocks, "pretrain", **self._start)
        initialize_relative_positions(self.blocks)
        self.predictor.reset_parameters()

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Compute the blocks' activations again in the backward pass."""
        self.grad_checkpointing = enable

    def forward(self, tokens: Tensor, height: int, width: int) -> Tensor:
        """[B, N, D] of a map of height x width patches to [B, N, 1, teacher_dim]."""
        for block in self.blocks:
            given = (tokens, None, 0, height, width)
            tokens = checkpoint(block, *given) if self.grad_checkpointing else block(*given)
        return self.predictor(tokens).unsqueeze(2)


class MaskedModel(nn.Module):
    """A backbone whose hidden patches are replaced at the patch embedding, so that every stage sees masked input.

    In iTPN they are replaced before stage 3, so that the laterals of the pyramid see all of the image.

    A subclass defines `main`, builds its own layers and calls `finish`.

    Args:
        backbone: A `FastITPN` without pooling and head.
        teacher_dim: Width of the teacher's features for the main predictions.
        auxiliary_dim: Width of the teacher's features for the auxiliary prediction; None leaves it out.
        mlp_predictor: A hidden layer before each prediction.

    Attributes:
        names: Names of the predictions, see `predictions.CELLS`; the auxiliary one is the last.
    """

    names: tuple[str, ...]

    def __init__(
        self,
        backbone: FastITPN,
        *,
        teacher_dim: int,
        auxiliary_dim: int | None = None,
        mlp_predictor: bool = False,
        device=None,
        dtype=None,
    ):
        super().__init__()
        dd = {"device": device, "dtype": dtype}
        self.backbone = backbone
        self.teacher_dim = teacher_dim
        self.norm_on_trunk = False
        self.mask_token = nn.Parameter(torch.empty(*backbone.mask_token_shape, **dd))
        self.auxiliary = None if auxiliary_dim is None else Auxiliary(backbone, auxiliary_dim, mlp=mlp_predictor, **dd)
        if self.auxiliary is not None:
            self.names = (*self.names, "auxiliary")

    @property
    def shown(self) -> str:
        """The prediction that pictures show: the first at 1/16, else the first one."""
        return next((name for name in self.names if name.endswith(("merged", "trunk", "stride16"))), self.names[0])

    def init_weights(self) -> None:
        """Fill all weights with the published start values."""
        self.backbone.init_weights("pretrain")
        self.init_own_weights()

    def init_own_weights(self) -> None:
        """Fill the weights outside the backbone; a subclass adds its own."""
        if self.mask_token.is_meta:
            return
        initialize_table(self.mask_token, "pretrain")
        if self.auxiliary is not None:
            self.auxiliary.reset_parameters()

    def group_matcher(self, coarse: bool = False) -> dict[str, Any]:
        """The layers of the backbone; all else has the whole learning rate, as published."""
        return self.backbone.group_matcher(coarse)

    def main(self, stages: list[Tensor]) -> dict[str, Tensor]:
        """The predictions of the objective from the trunk's stages, [B, N, cells, teacher_dim] each."""
        raise NotImplementedError

    def predict(self, images: Tensor, masked: Tensor | None = None) -> dict[str, Tensor]:
        """Every prediction by its name.

        Args:
            images: [B, C, H, W].
            masked: [B, N] bool, True = hidden; None hides nothing.

        Returns:
            [B, N, cells, teacher_dim] each, for hidden and visible patches.
        """
        return self.predict_with_tokens(images, masked)[0]

    def predict_with_tokens(self, images: Tensor, masked: Tensor | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """Every prediction, and the trunk's tokens [B, N, D] that they are made of; see `predict`."""
        if self.auxiliary is None:
            stages = self.encode(images, masked)
            return self.main(stages), stages[2]
        features = self.backbone.encode(images, masked, self.mask_token, taps=Taps(blocks=(self.auxiliary.after,)))
        tokens, (height, width) = features.blocks[self.auxiliary.after], images.shape[-2:]
        auxiliary = self.auxiliary(tokens, height // PATCH, width // PATCH)
        return {**self.main(features.stages), "auxiliary": auxiliary}, features.stages[2]

    def encode(self, images: Tensor, masked: Tensor | None = None) -> list[Tensor]:
        """The trunk's stages of a (masked) image."""
        return self.backbone.encode(images, masked, self.mask_token)

    def levels(self, images: Tensor, masked: Tensor | None = None) -> list[Tensor]:
        """Pyramid levels of a (masked) image, in cell order at strides 4, 8, 16."""
        return self.pyramid(self.encode(images, masked))

    def pyramid(self, stages: list[Tensor]) -> list[Tensor]:
        """Pyramid levels from the trunk's stages."""
        return self.backbone.pyramid_cells(stages, recomputed=False)  # `from_stages` sees to that

    def from_stages(self, function: Callable[[list[Tensor]], list[Tensor]], stages: list[Tensor]) -> list[Tensor]:
        """A function of the trunk's stages; with gradient checkpointing its activations are computed again."""
        if self.backbone.grad_checkpointing and torch.is_grad_enabled():
            return lists_in_parts(lambda *part: function(list(part)), stages)
        return function(stages)


def hidden_layer(dim: int, device=None, dtype=None) -> nn.Module:
    """What makes a linear prediction an MLP: Linear and GELU of the same width."""
    return nn.Sequential(Linear(dim, dim, device=device, dtype=dtype), nn.GELU())


def initialize_linears(modules: Iterable[nn.Module]) -> None:
    """Xavier normal weights and no bias, as published for the prediction."""
    for outer in modules:
        for module in outer.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)
