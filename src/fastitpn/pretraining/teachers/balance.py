"""Targets of several teachers on one footing, by statistics that are found before the first step and then kept."""

import torch
from scipy.linalg import hadamard
from torch import Tensor, nn

from fastitpn.pretraining.teachers.statistics import WHITENING_FLOOR

BALANCES = ("scale", "hadamard", "whiten")


class Balance(nn.Module):
    """y = (x - mean) M, in float32.

    scale: M = 1 / sqrt(mean variance), one number. hadamard: that after a rotation, so that all features have variance
    1 and the geometry stays as it is (PHI-S; Ranzinger et al., 2024). whiten: the covariance becomes the identity
    (ZCA), but for directions that hardly vary.

    Args:
        dim: Width of the features, D.
        kind: One of `BALANCES`.
    """

    mean: Tensor
    matrix: Tensor
    known: Tensor

    def __init__(self, dim: int, kind: str):
        super().__init__()
        self.kind = kind
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("matrix", torch.ones(()) if kind == "scale" else torch.eye(dim))
        self.register_buffer("known", torch.tensor(False))

    def forward(self, features: Tensor) -> Tensor:
        """[..., D] to [..., D]."""
        with torch.autocast(features.device.type, enabled=False):
            centred = features.float() - self.mean
            return centred * self.matrix if self.matrix.ndim == 0 else centred @ self.matrix

    def settle(self, count: int, total: Tensor, products: Tensor) -> None:
        """Find the statistics.

        Args:
            count: Vectors of the sample, n.
            total: Their sum, float64 [D].
            products: Their sum of outer products, float64 [D, D].
        """
        mean = total / count
        covariance = products / count - mean[:, None] * mean
        scale = covariance.diagonal().mean().clamp(min=1e-12)
        if self.kind == "scale":
            matrix = scale.rsqrt()
        else:
            variances, directions = torch.linalg.eigh(covariance)  # the smallest first
            signs = directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign()  # else those of the library
            directions = directions * signs
            if self.kind == "hadamard":
                matrix = directions @ levelling(variances).T * scale.rsqrt()
            else:
                floor = WHITENING_FLOOR * scale
                matrix = (directions * (variances.clamp(min=0) + floor).rsqrt()) @ directions.T
        self.mean.copy_(mean)
        self.matrix.copy_(matrix)
        self.known.fill_(True)


def levelling(variances: Tensor) -> Tensor:
    """A rotation R after which independent features of these variances all have the mean variance.

    A Hadamard matrix where the width is a power of two; else plane rotations, each of which gives one feature the mean
    (Bendel and Mickey, 1978).

    Args:
        variances: float64 [D].

    Returns:
        R float64 [D, D], so that the diagonal of R diag(variances) R^T is constant.
    """
    dim = len(variances)
    if dim & (dim - 1) == 0:
        return torch.from_numpy(hadamard(dim)).to(variances) / dim**0.5
    rotation = torch.eye(dim, dtype=variances.dtype)
    covariance = torch.diag(variances.cpu())
    mean = covariance.diagonal().mean()
    for _ in range(dim - 1):
        rest = covariance.diagonal() - mean
        low, high = int(rest.argmin()), int(rest.argmax())
        if rest[high] - rest[low] <= 1e-12 * mean.abs():
            break
        # The angle t with c^2 low + s^2 high + 2 s c across = mean; t = s / c solves a quadratic equation.
        below, above, across = rest[low], rest[high], covariance[low, high]
        tangent = (-across + (across.square() - below * above).clamp(min=0).sqrt()) / above
        cosine = (1 + tangent.square()).rsqrt()
        sine = tangent * cosine
        turn = torch.stack([torch.stack([cosine, sine]), torch.stack([-sine, cosine])])
        pair = [low, high]
        rotation[pair] = turn @ rotation[pair]
        covariance[pair] = turn @ covariance[pair]
        covariance[:, pair] = covariance[:, pair] @ turn.T
    return rotation.to(variances.device)
