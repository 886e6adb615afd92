"""Principal components of a teacher's features: fewer numbers to store and to predict, and nearly the same target."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Components:
    """The main directions of a teacher's features, which are standardised first.

    y = V^T (x - mean) / std, with the main eigenvectors V of the correlation matrix. Cosines between what comes out are
    nearly those between the standardised features: each direction keeps its spread.
    """

    mean: Tensor
    """[D] of the sample."""
    std: Tensor
    """[D]."""
    directions: Tensor
    """[D, dims], orthonormal columns, the one with the largest variance first."""
    kept: float
    """Share of the variance that the directions have, 0 to 1."""

    @classmethod
    def of(cls, features: Tensor, dims: int) -> "Components":
        """Found on a sample.

        Args:
            features: [n, D].
            dims: Directions to keep, at most D.
        """
        features = features.double()
        mean, std = features.mean(0), features.std(0) + 1e-6
        standard = (features - mean) / std
        variances, directions = torch.linalg.eigh(standard.T @ standard)  # the smallest first
        directions = directions[:, -dims:].flip(1)
        signs = directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign()  # else those of the library
        kept = variances[-dims:].sum() / variances.sum().clamp(min=1e-30)
        return cls(mean=mean.float(), std=std.float(), directions=(directions * signs).float(), kept=float(kept))

    def __call__(self, features: Tensor) -> Tensor:
        """[..., D] to [..., dims], in float32."""
        return (features.float() - self.mean) / self.std @ self.directions

    def state_dict(self) -> dict[str, Tensor]:
        """For a file."""
        return {"mean": self.mean, "std": self.std, "directions": self.directions, "kept": torch.tensor(self.kept)}

    @classmethod
    def from_state_dict(cls, state: dict[str, Tensor]) -> "Components":
        """From a file."""
        return cls(**{**state, "kept": float(state["kept"])})  # type: ignore[arg-type]
