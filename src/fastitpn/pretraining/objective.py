"""What pre-training minimises: how far the predictions are from the teacher's features."""

from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from fastitpn.pretraining.teachers.statistics import mean_over_processes


def feature_loss(
    predictions: Tensor, targets: Tensor, masked: Tensor, *, loss: str = "cosine", loss_on: str = "masked"
) -> Tensor:
    """Mean distance between predicted and target features, in float32.

    cosine: L = -mean_i cos(p_i, t_i)    smooth_l1: L = mean_i,d SmoothL1(p_id - t_id), beta 1
    mse: L = mean_i,d (p_id - t_id)^2

    Args:
        predictions: [B, N, D].
        targets: [B, N, D].
        masked: [B, N] bool, True = hidden.
        loss: "cosine" (Fast-iTPN's logged loss), "smooth_l1" (the published iTPN's) or "mse" (that of pixels).
        loss_on: "masked": only hidden patches count; "all": every patch.

    Returns:
        A scalar; 0 if no patch counts.
    """
    predictions, targets = predictions.float(), targets.float()
    if loss == "cosine":
        per_patch = -cosine_similarity(predictions, targets)  # [B, N]
    elif loss == "mse":
        per_patch = (predictions - targets).square().mean(-1)
    else:
        per_patch = F.smooth_l1_loss(predictions, targets, reduction="none").mean(-1)
    if loss_on == "all":
        return per_patch.mean()
    counts = masked.to(per_patch.dtype)  # a weighted mean keeps shapes static, whatever the masks
    # With several processes, whose gradients are averaged, this is the mean over the hidden patches of all of them.
    return (per_patch * counts).sum() / mean_over_processes(counts.sum()).clamp(min=1)


def cosine_similarity(x: Tensor, fixed: Tensor) -> Tensor:
    """`torch.nn.functional.cosine_similarity` over the last axis, with a gradient for `x` alone.

    PyTorch's own goes over memory more often, and takes three to four times as long with its gradient on a CPU
    (`benchmarks/pretraining_loss.py`), which counts where every cell of stride 4 has a prediction.

    Args:
        x: [..., D] in float32.
        fixed: [..., D] in float32, which gets no gradient.

    Returns:
        [...].
    """
    return cast(Tensor, _CosineSimilarity.apply(x, fixed))


class _CosineSimilarity(torch.autograd.Function):
    """c = x.y / (|x| |y|), and dc/dx = y / (|x| |y|) - c x / |x|^2."""

    EPS = 1e-8
    """Least norm, as in PyTorch's."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        x_norm, y_norm = (torch.linalg.vector_norm(z, dim=-1).clamp_min(_CosineSimilarity.EPS) for z in (x, y))
        cosine = torch.linalg.vecdot(x, y) / (x_norm * y_norm)
        ctx.save_for_backward(x, y, x_norm, y_norm, cosine)
        return cosine

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, y, x_norm, y_norm, cosine = ctx.saved_tensors
        of_y = (gradient / (x_norm * y_norm)).unsqueeze(-1)
        of_x = (gradient * cosine / x_norm.square()).unsqueeze(-1)
        return (y * of_y).addcmul_(x, of_x, value=-1), None


def weighted_losses(
    predictions: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    masked: Tensor,
    *,
    weights: Mapping[str, float],
    loss: str | Mapping[str, str] = "cosine",
    loss_on: str = "masked",
) -> dict[str, Tensor]:
    """The loss of every prediction, and their weighted sum.

        L = sum_k weight_k L_k

    Args:
        predictions: [B, N, cells, D] by name.
        targets: [B, N, cells, D] by the name of the prediction.
        masked: [B, N] bool, True = hidden.
        weights: Weight of each loss by the name of its prediction; 1 for those not named.
        loss: See `feature_loss`; also by the name of the prediction.
        loss_on: See `feature_loss`; it is "all" for what is predicted of the whole image.

    Returns:
        "loss", which is minimised; with several predictions also "loss_NAME" of each, without its weight.
    """
    losses = {}
    for name, prediction in predictions.items():
        hidden = masked.repeat_interleave(prediction.shape[2], dim=1)  # [B, N * cells]
        losses[name] = feature_loss(
            prediction.flatten(1, 2),
            targets[name].flatten(1, 2),
            hidden,
            loss=loss if isinstance(loss, str) else loss[name],
            loss_on="all" if prediction.shape[1] == 1 else loss_on,
        )
    total = sum(weights.get(name, 1.0) * value for name, value in losses.items())
    assert isinstance(total, Tensor)
    return {"loss": total} | ({f"loss_{name}": value for name, value in losses.items()} if len(losses) > 1 else {})
