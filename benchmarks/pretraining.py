"""A step of pre-training against the literal reference: images/s and peak memory, interleaved in one run.

    python -m benchmarks.pretraining [sizes=tiny,base] [batch=8] [memory_batch=8] [rounds=5] [device=cpu] [note=TEXT]
        [out=FILE.json]

A step is forward, negative cosine on hidden patches, backward and AdamW, in fp32 on 224 px images, against fixed
targets (a teacher costs both the same). Arms take turns, round after round; a figure is the median over rounds of the
ratio within a round. `checkpointed` is ours with gradient checkpointing. Losses of the first step must agree to 1e-4.
On a CPU a step has one thread, and its time is that thread's processor time: other work on the machine does not count.

Memory is measured in a process for each arm, since the peak of a process never falls: on a CPU its peak resident set
less what it had before the model was built (Linux), on a GPU what torch allocated at most. Weights, gradients and
AdamW's moments are the same in all arms (16 bytes a parameter), so the ratio depends on the batch.
"""

import copy
import gc
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks.machine import describe_machine
from benchmarks.reference import SIZES, ReferencePretraining, rule_weights
from fastitpn.models.weights.official_names import from_official_names
from fastitpn.pretraining.model import PretrainingModel, create_pretraining_model

ARMS = ("reference", "fastitpn", "checkpointed")
TEACHER_DIM = 768
TOLERANCE = 1e-4


class Arm:
    """A model with its optimiser."""

    def __init__(self, name: str, size: str, device: str, *, same_weights: bool = True):
        self.checkpointed = name == "checkpointed"
        if name == "reference":
            self.model: torch.nn.Module = ReferencePretraining(**SIZES[size], teacher_dim=TEACHER_DIM)
            rule_weights(self.model)
        else:
            self.model = create_pretraining_model(
                f"fastitpn_{size}", teacher_dim=TEACHER_DIM, img_size=SIZES[size]["img_size"]
            )
            if same_weights:
                reference = ReferencePretraining(**SIZES[size], teacher_dim=TEACHER_DIM)
                rule_weights(reference)
                tensors = from_official_names(reference.state_dict())[0]
                names = {key.removeprefix("backbone."): key for key in self.model.state_dict()}
                self.model.load_state_dict({names[key]: value for key, value in tensors.items()})
        self.model.train().to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)

    def step(self, images: torch.Tensor, masked: torch.Tensor, targets: torch.Tensor) -> float:
        """One step; returns its loss."""
        if isinstance(self.model, PretrainingModel):
            self.model.backbone.set_grad_checkpointing(self.checkpointed)
        cosine = F.cosine_similarity(self.model(images, masked), targets, dim=-1)
        loss = -(cosine * masked).sum() / masked.sum()
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()


def make_batch(size: str, batch: int, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images, masks and targets."""
    generator, px = torch.Generator().manual_seed(0), SIZES[size]["img_size"]
    patches = (px // 16) ** 2
    images = torch.randn(batch, 3, px, px, generator=generator)
    masked = torch.rand(batch, patches, generator=generator) < 0.4
    targets = torch.randn(batch, patches, TEACHER_DIM, generator=generator)
    return images.to(device), masked.to(device), targets.to(device)


def measure_speed(size: str, batch: int, rounds: int, device: str) -> dict[str, object]:
    """One row: images/s and ratios to the reference."""
    arms = {name: Arm(name, size, device) for name in ARMS[:2]}
    arms["checkpointed"] = copy.copy(arms["fastitpn"])  # the same model: three would take half as much memory again
    arms["checkpointed"].checkpointed = True
    data = make_batch(size, batch, device)
    clock = time.process_time if device == "cpu" else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in arms}
    first: dict[str, float] = {}
    for turn in range(rounds + 1):
        for name, arm in arms.items():
            if device == "cuda":
                torch.cuda.synchronize()
            start = clock()
            loss = arm.step(*data)
            if device == "cuda":
                torch.cuda.synchronize()
            if turn == 0:  # warms up
                first[name] = loss
            else:
                times[name].append(clock() - start)
    del first["checkpointed"]  # its first step is the second one of its model
    if max(first.values()) - min(first.values()) > TOLERANCE:
        raise SystemExit(f"{size}: first losses differ: {first}")
    row: dict[str, object] = {"model": f"fastitpn_{size}", "batch": batch, "rounds": rounds, "first_loss": first}
    for name in ARMS:
        row[f"{name}_images_per_s"] = round(batch / statistics.median(times[name]), 2)
    for name in ARMS[1:]:
        ratios = sorted(r / o for r, o in zip(times["reference"], times[name], strict=True))
        row[f"{name}_ratio"] = round(statistics.median(ratios), 3)
        row[f"{name}_ratio_range"] = [round(ratios[0], 3), round(ratios[-1], 3)]
    return row


def peak_of_this_process(name: str, size: str, batch: int, device: str) -> float:
    """Peak memory in MiB of one arm's weights, gradients, optimiser and activations over two steps."""
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    arm, data = Arm(name, size, device, same_weights=False), make_batch(size, batch, device)
    for _ in range(2):
        arm.step(*data)
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    # Not getrusage: its peak starts from that of the process that started this one.
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 2**10 - before


def measure_memory(size: str, batch: int, device: str) -> dict[str, object]:
    """Peak of each arm in MiB, and the ratios to the reference."""
    peaks = {}
    for name in ARMS:
        words = [sys.executable, "-m", "benchmarks.pretraining", f"arm={name}", f"sizes={size}", f"batch={batch}"]
        done = subprocess.run([*words, f"device={device}"], capture_output=True, text=True, check=True)
        peaks[name] = float(done.stdout)
    row: dict[str, object] = {"memory_batch": batch, **{f"{name}_peak_mib": round(peaks[name]) for name in ARMS}}
    return row | {f"{name}_memory_ratio": round(peaks[name] / peaks["reference"], 3) for name in ARMS[1:]}


def main() -> None:
    """Measure all sizes, print and store them."""
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    batch, device = int(options.get("batch", 8)), options.get("device", "cpu")
    sizes = options.get("sizes", "tiny,base").split(",")
    if device == "cpu":
        torch.set_num_threads(1)
    if "arm" in options:
        print(peak_of_this_process(options["arm"], sizes[0], batch, device))
        return
    rows = []
    for size in sizes:
        rows.append({**measure_speed(size, batch, int(options.get("rounds", 5)), device)})
        gc.collect()
        rows[-1] |= measure_memory(size, int(options.get("memory_batch", batch)), device)
        print(json.dumps(rows[-1]), flush=True)
    words = [word for word in sys.argv[1:] if not word.startswith("note=")]
    result = {"command": "python -m " + " ".join(["benchmarks.pretraining", *words]), "note": options.get("note", "")}
    if "out" in options:
        text = json.dumps({**result, **describe_machine(device), "rows": rows}, indent=1)
        Path(options["out"]).write_text(text + "\n")


if __name__ == "__main__":
    main()
