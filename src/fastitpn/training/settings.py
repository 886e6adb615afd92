"""The numbers of a fit."""

import dataclasses

from fastitpn.training.metric import LOSS, Metric
from fastitpn.training.schedule import MILESTONES


@dataclasses.dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How to train: steps are optimiser steps throughout."""

    steps: int
    """Steps of the whole run."""
    lr: float
    """Peak learning rate, not scaled by the batch."""
    min_lr: float = 1e-6
    """Learning rate at the end."""
    schedule: str = "cosine"
    """How it falls: "cosine", "poly", "step" or "constant", see `schedule`."""
    milestones: tuple[float, ...] = MILESTONES
    """Shares of the steps at which "step" drops."""
    warmup_steps: int = 0
    """Steps of linear warm-up from 0."""
    weight_decay: float = 0.05
    """Weight decay of all but biases, norms, position embedding and class token."""
    betas: tuple[float, float] = (0.9, 0.999)
    """The two momenta of AdamW."""
    clip_grad: float | None = None
    """Largest norm of the gradient; None for no limit."""
    layer_decay: float | None = None
    """Factor of the learning rate from each layer to the one below; None for one rate everywhere."""
    ema: float | None = None
    """Decay of the moving average of the weights, which is then what is evaluated and kept; None for none."""
    accumulate: int = 1
    """Micro-batches a step."""
    checkpoint_every: int = 1000
    """Steps between checkpoints; 0 for one at the end."""
    keep_checkpoints: int = 2
    """Checkpoints to resume from that are kept."""
    evaluate_every: int = 0
    """Steps between evaluations; 0 for one at the end."""
    log_every: int = 50
    """Steps between rows of the log; 0 for one at the end."""
    seed: int = 0
    """Seed of the data's order and of all that the model draws."""
    compile: bool = False
    """Compile the model with torch.compile."""
    grad_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them."""
    loggers: tuple[str, ...] = ()
    """Where rows of the log go beside `metrics.jsonl`, names of `LOGGERS`."""
    patience: int | None = None
    """Validations in a row without a better value after which the run ends early; None for none."""
    max_minutes: float | None = None
    """Minutes after which the run is saved and left; None for no limit."""
    faster: str = ""
    """What to type for faster steps, such as "px=128"."""
    best_metric: Metric | None = LOSS
    """Metric of the evaluation that chooses the best checkpoint; None: the one at the end is the best."""
    metrics: tuple[Metric, ...] = ()
    """What the evaluation measures, for the log."""

    def due(self, every: int, step: int) -> bool:
        """Whether something that happens `every` so many steps, and at the end, happens after step number `step`."""
        return step == self.steps or (every > 0 and step % every == 0)
