"""Feature maps as colours: the three main directions of a set of features become red, green and blue."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class FeatureColours:
    """A mapping from feature vectors to colours, fitted once and used on many maps, so that colours keep their meaning.

    With features f, their mean m and main directions V: colour = (V(f - m) - low) / (high - low), clipped to [0, 1].
    """

    mean: Tensor
    """[C]"""
    directions: Tensor
    """[C, 3], columns of zeros where C < 3"""
    low: Tensor
    """[3]"""
    high: Tensor
    """[3]"""

    @classmethod
    def fit(cls, features: Tensor, percentile: float = 2.0) -> "FeatureColours":
        """Find the main directions of all vectors together.

        Args:
            features: [..., C]; non-finite values count as zero.
            percentile: In [0, 50). This share of the values at each end is clipped, so that one odd token does not
                grey out all others.
        """
        vectors = _flat(features)
        mean = vectors.mean(0)
        centred = vectors - mean
        _, eigenvectors = torch.linalg.eigh(centred.T @ centred / len(vectors))  # ascending
        directions = eigenvectors.flip(1)[:, :3]
        # An eigenvector's sign is arbitrary: settle it, so that the same features always give the same colours.
        largest = directions.gather(0, directions.abs().argmax(0, keepdim=True))
        directions = directions * torch.where(largest < 0, -1.0, 1.0)
        directions = torch.nn.functional.pad(directions, (0, 3 - directions.shape[1]))
        ordered = (centred @ directions).sort(0).values
        cut = round(percentile / 100 * (len(vectors) - 1))
        return cls(mean, directions, ordered[cut], ordered[-1 - cut])

    def __call__(self, features: Tensor) -> Tensor:
        """[..., C] to uint8 [..., 3]; a direction in which nothing varied is mid-grey."""
        values = (_flat(features) - self.mean) @ self.directions
        spread = self.high - self.low
        varies = spread > 1e-6 * (1e-30 + self.high.abs() + self.low.abs() + self.mean.abs().max())
        colours = torch.where(varies, (values - self.low) / torch.where(varies, spread, 1.0), 0.5)
        return (colours.clamp(0, 1) * 255).round().to(torch.uint8).reshape(*features.shape[:-1], 3)


def pca_rgb(features: Tensor) -> Tensor:
    """Colour feature maps by their three main directions, found over the whole set.

    Args:
        features: [B, h, w, C], any float type or device.

    Returns:
        uint8 [B, h, w, 3] on the CPU. Equal vectors get equal colours, also across images.
    """
    return FeatureColours.fit(features)(features)


def _flat(features: Tensor) -> Tensor:
    """[..., C] to float64 [n, C] on the CPU."""
    vectors = features.detach().reshape(-1, features.shape[-1]).to("cpu", torch.float64)
    return torch.nan_to_num(vectors, nan=0.0, posinf=0.0, neginf=0.0)
