"""Statistics of a batch of features over all processes: 1 process x 16 images and 2 x 8 get the same targets."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed
from torch import Tensor

WHITENING_FLOOR = 0.01
"""Share of the mean variance that is added to every direction: what hardly varies is noise, and stays small."""
RANK_SAMPLES = 4096
"""Features that the effective rank is measured on at most, spread evenly over the batch."""

_alone = False


@contextmanager
def in_one_process() -> Iterator[None]:
    """Within, nothing is exchanged: for code that one process runs while the others do something else."""
    global _alone
    before, _alone = _alone, True
    try:
        yield
    finally:
        _alone = before


def num_processes() -> int:
    """Processes that share a batch."""
    if _alone or not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return 1
    return torch.distributed.get_world_size()


def mean_over_processes(value: Tensor) -> Tensor:
    """Mean of a tensor over the processes; no gradient flows through it."""
    number = num_processes()
    if number == 1:
        return value.detach()
    total = value.detach().clone()
    torch.distributed.all_reduce(total)
    return total / number


def standardise(features: Tensor) -> Tensor:
    """Mean 0 and spread 1 for each feature over all vectors of the batch; a single vector stays as it is.

    Args:
        features: [..., D] in float32.
    """
    vectors = features.flatten(0, -2)
    count = len(vectors) * num_processes()
    if count < 2:
        return features
    centred = features - mean_over_processes(vectors.mean(0))
    variance = mean_over_processes(centred.flatten(0, -2).square().mean(0)) * count / (count - 1)
    return centred / (variance.sqrt() + 1e-6)


def whiten(features: Tensor) -> Tensor:
    """ZCA whitening over all vectors of the batch: no direction dominates, and each stays as close to itself as it can.

    y = V (S + floor)^(-1/2) V^T (x - m), with the covariance V S V^T

    Args:
        features: [..., D] in float32.
    """
    vectors = features.flatten(0, -2)
    if len(vectors) * num_processes() < 2:
        return features
    centred, covariance = _covariance(vectors)
    floor = WHITENING_FLOOR * covariance.diagonal().mean() + 1e-12
    variances, directions = torch.linalg.eigh(covariance)
    scale = (variances.clamp(min=0) + floor).rsqrt()
    with torch.autocast(features.device.type, enabled=False):
        return (centred @ (directions * scale) @ directions.T).view_as(features)


def effective_rank(features: Tensor) -> Tensor:
    """Number of directions in which the vectors of a batch vary: the participation ratio (tr C)^2 / tr(C^2).

    It falls towards 1 when targets collapse onto a few directions, which the spread of each single feature hides.

    Args:
        features: [..., D] in float32.

    Returns:
        A scalar between 1 and D.
    """
    vectors = features.detach().flatten(0, -2)
    vectors = vectors[:: -(-len(vectors) // RANK_SAMPLES)]
    _, covariance = _covariance(vectors)
    return covariance.diagonal().sum().square() / covariance.square().sum().clamp(min=1e-30)


def _covariance(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """[n, D] to what is left without their mean [n, D], and its covariance [D, D], in full precision."""
    with torch.autocast(vectors.device.type, enabled=False):
        centred = vectors - mean_over_processes(vectors.mean(0))
        return centred, mean_over_processes(centred.T @ centred / len(centred))
