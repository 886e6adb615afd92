"""The cosine loss of `per_level` pre-training against PyTorch's own `cosine_similarity`, forward and backward.

    python -m benchmarks.pretraining_loss [batch=16] [px=224] [teacher_dim=768] [rounds=7] [device=cpu] [out=FILE.json]

A prediction for every cell of strides 4, 8 and 16, in float32. Arms take turns, round after round; a figure is the
median over rounds of the ratio within a round. On a CPU the time is the processor time of one thread: other work on
the machine does not count.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.machine import describe_machine
from fastitpn.pretraining.objective import cosine_similarity
from fastitpn.training.memory import keep_freed_memory


def theirs(predictions: Tensor, targets: Tensor) -> Tensor:
    """PyTorch's."""
    return F.cosine_similarity(predictions, targets, dim=-1)


def seconds(similarity: Callable[[Tensor, Tensor], Tensor], pairs: list[tuple[Tensor, Tensor]]) -> float:
    """Of the loss and its gradient."""
    on_gpu = pairs[0][0].is_cuda
    if on_gpu:
        torch.cuda.synchronize()
    clock = time.perf_counter if on_gpu else time.thread_time
    start = clock()
    for predictions, targets in pairs:
        predictions.grad = None
        (-similarity(predictions, targets).mean()).backward()
    if on_gpu:
        torch.cuda.synchronize()
    return clock() - start


def main() -> None:
    """Print and store the ratio."""
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    batch, px, dim = (int(options.get(key, value)) for key, value in (("batch", 16), ("px", 224), ("teacher_dim", 768)))
    device = options.get("device", "cpu")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if device == "cpu":
        keep_freed_memory()  # as in a training
    shapes = [(batch, (px // stride) ** 2, dim) for stride in (4, 8, 16)]
    pairs = [
        (torch.randn(*shape, device=device, requires_grad=True), torch.randn(*shape, device=device)) for shape in shapes
    ]
    rounds = []
    for number in range(int(options.get("rounds", 7)) + 1):
        row = {"theirs": seconds(theirs, pairs), "ours": seconds(cosine_similarity, pairs)}
        if number:  # the first is to warm up
            rounds.append(row)
    ratios = [row["theirs"] / row["ours"] for row in rounds]
    result = {
        "command": "python -m " + " ".join(["benchmarks.pretraining_loss", *(f"{k}={v}" for k, v in options.items())]),
        **describe_machine(device),
        "rows": [
            {
                "px": px,
                "batch": batch,
                "teacher_dim": dim,
                "ratio": round(statistics.median(ratios), 2),
                "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
                "pytorch_ms": round(1e3 * statistics.median(row["theirs"] for row in rounds), 1),
                "fastitpn_ms": round(1e3 * statistics.median(row["ours"] for row in rounds), 1),
            }
        ],
    }
    print(json.dumps(result))
    if "out" in options:
        Path(options["out"]).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
