"""The cosine loss of `per_level` pre-training against PyTorch's own `cosine_similarity`, forward and backward.

    python -m benchmarks.pretraining_loss [key=value ...]

A prediction for every cell of strides 4, 8 and 16, in float32. Arms take turns, round after round; a figure is the
median over rounds of the ratio within a round.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness.options import SpeedOptions, start
from benchmarks.harness.results import Results
from benchmarks.harness.rounds import take_turns
from benchmarks.harness.summary import median_ms, speed_up
from fastitpn.config.types import Count, ImagePx
from fastitpn.pretraining.objective import cosine_similarity
from fastitpn.training.memory import keep_freed_memory


@dataclass(frozen=True, kw_only=True)
class Options(SpeedOptions):
    """Loss."""

    batch: Count = 16
    """Images in a step."""
    px: ImagePx = 224
    """Side of the images in pixels."""
    teacher_dim: Count = 768
    """Features of the teacher for each cell."""
    rounds: Count = 7


def step(similarity: Callable[[Tensor, Tensor], Tensor], pairs: list[tuple[Tensor, Tensor]]) -> None:
    """The loss of all levels and its gradient."""
    for predictions, targets in pairs:
        predictions.grad = None
        (-similarity(predictions, targets).mean()).backward()


def run(options: Options) -> None:
    """Prints and stores the ratio."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if options.device == "cpu":
        keep_freed_memory()  # as in a training
    pairs = []
    for stride in (4, 8, 16):
        shape = (options.batch, (options.px // stride) ** 2, options.teacher_dim)
        predictions = torch.randn(*shape, device=options.device, requires_grad=True)
        pairs.append((predictions, torch.randn(*shape, device=options.device)))
    arms = {"pytorch": partial(F.cosine_similarity, dim=-1), "fastitpn": cosine_similarity}
    times = take_turns({name: partial(step, arm, pairs) for name, arm in arms.items()}, options.rounds, options.device)
    row = {"px": options.px, "batch": options.batch, "teacher_dim": options.teacher_dim}
    row["ratio"], row["ratio_range"] = speed_up(times["pytorch"], times["fastitpn"], 2)
    results = Results(options, device=options.device)
    results.add(row | {f"{name}_ms": median_ms(times[name]) for name in arms})
    results.finish()


if __name__ == "__main__":
    start(Options, run)
