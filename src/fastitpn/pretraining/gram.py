"""Which patches of an image are alike: a loss that keeps it, and how it agrees with a teacher's (DINOv3, 2508.10104).

Over long runs the loss may go on falling while the features of single patches blur. Their Gram matrix, the cosines of
all pairs of patches of an image, shows that, whatever the width of the features and however they are rotated.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastitpn.models.backbone import FastITPN

IMAGES = 8
"""So many of a batch are looked at, at most, for the agreement."""


def gram(features: Tensor) -> Tensor:
    """Cosines of all pairs of patches, [B, N, D] to [B, N, N], in float32."""
    with torch.autocast(features.device.type, enabled=False):
        unit = F.normalize(features.float(), dim=-1)
        return unit @ unit.mT


def gram_loss(features: Tensor, anchor: Tensor) -> Tensor:
    """Mean squared difference of the Gram matrices.

    L = mean_b,i,j (x_bi . x_bj - y_bi . y_bj)^2, with all vectors of length 1

    Args:
        features: Patch features of the student, [B, N, D].
        anchor: Of what is to be kept, [B, N, any width].

    Returns:
        A scalar, 0 to 4.
    """
    return F.mse_loss(gram(features), gram(anchor))


@torch.no_grad()
def patch_agreement(features: Tensor, reference: Tensor) -> Tensor:
    """Correlation, over the pairs of different patches of an image, of their cosines in two sets of features.

    Args:
        features: [B, N, D].
        reference: [B, N, any width].

    Returns:
        Mean over `IMAGES` images: 1 where the same patches are alike in both, 0 where one says nothing of the other.
    """
    count = features.shape[1]
    pairs = ~torch.eye(count, dtype=torch.bool, device=features.device)
    x, y = (gram(z[:IMAGES])[:, pairs] for z in (features, reference))
    x, y = (z - z.mean(1, keepdim=True) for z in (x, y))
    return F.cosine_similarity(x, y, dim=1).mean()


class GramAnchor(nn.Module):
    """The student's trunk as it was: taken anew every so many steps.

    Args:
        student: The student's backbone.
        every: Steps from one snapshot to the next.
        known: Whether what the student begins with is an anchor, as weights of an earlier training are.
    """

    def __init__(self, student: FastITPN, *, every: int, known: bool = False):
        super().__init__()
        pyramid, student.pyramid = student.pyramid, None
        self.trunk = copy.deepcopy(student).eval().requires_grad_(False)
        student.pyramid = pyramid
        self.trunk.set_acceleration("off")
        self.trunk.set_grad_checkpointing(False)
        self.every, self.steps, self.known = every, 0, known

    @torch.no_grad()
    def follow(self, student: FastITPN) -> None:
        """After a step of the optimiser: perhaps becomes the student."""
        self.steps += 1
        if self.steps % self.every == 0:
            parameters = dict(student.named_parameters())
            for name, kept in self.trunk.named_parameters():
                kept.copy_(parameters[name])
            self.known = True

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Tokens of whole images, [B, N, D]."""
        return self.trunk.encode(images)[2]

    def kept_state(self) -> dict[str, Any]:
        """What a checkpoint must have, so that a resumed run has the same anchor."""
        return {"trunk": self.trunk.state_dict(), "steps": self.steps, "known": self.known}

    def load_kept_state(self, state: Mapping[str, Any]) -> None:
        """Take it again."""
        self.trunk.load_state_dict(state["trunk"])
        self.steps, self.known = state["steps"], state["known"]

    def train(self, mode: bool = True) -> "GramAnchor":
        """It is always in evaluation mode."""
        return super().train(False)
