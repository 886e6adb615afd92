"""What pre-training minimises: how far the predictions are from the teacher's features."""

import torch.nn.functional as F
from torch import Tensor


def feature_loss(
    predictions: Tensor, targets: Tensor, masked: Tensor, *, loss: str = "cosine", loss_on: str = "masked"
) -> Tensor:
    """Mean distance between predicted and target features, in float32.

    cosine:    L = -mean_i cos(p_i, t_i)        smooth_l1: L = mean_i,d SmoothL1(p_id - t_id), beta 1

    Args:
        predictions: [B, N, D].
        targets: [B, N, D].
        masked: [B, N] bool, True = hidden.
        loss: "cosine" (Fast-iTPN's logged loss) or "smooth_l1" (the published iTPN's).
        loss_on: "masked": only hidden patches count; "all": every patch.

    Returns:
        A scalar; 0 if no patch counts.
    """
    predictions, targets = predictions.float(), targets.float()
    if loss == "cosine":
        per_patch = -F.cosine_similarity(predictions, targets, dim=-1)  # [B, N]
    else:
        per_patch = F.smooth_l1_loss(predictions, targets, reduction="none").mean(-1)
    if loss_on == "all":
        return per_patch.mean()
    counts = masked.to(per_patch.dtype)  # a weighted mean keeps shapes static, whatever the masks
    return (per_patch * counts).sum() / counts.sum().clamp(min=1)
