"""What the acceleration costs in quality: classification and segmentation at 224 px, several seeds, with controls.

    python -m benchmarks.acceleration_quality weights=RUN [tasks=classify,segment] [seeds=0,1,2]
        [work=runs/acceleration-quality] [out=benchmarks/results/acceleration_quality.json]

Small scale: `fastitpn_nano` (196 tokens, six blocks of attention) on composed scenes (`fastitpn.data.scenes`), from the
weights of a pre-training. For each seed one plain network is trained; then every arm goes on from it, with its own
acceleration, for the same steps over the same batches, and so does the plain network. A figure is the difference to
that plain continuation. Each arm is also switched on without any training. The controls, for each preset: tokens chosen
at random, and tokens that leave without being put back.

At 224 px the presets' windows cover the whole map, so these figures are migration's. The presets are therefore also
switched on without any training at 448 px, where both parts act.

What is done is kept in `work`, and skipped when the same command is typed again.
"""

import dataclasses
import itertools
import json
import math
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

import fastitpn
from benchmarks.machine import describe_machine
from fastitpn.training.config import IMAGENET_MEAN, IMAGENET_STD
from fastitpn.data.classification.labelled import labelled
from fastitpn.data.scenes import build_scenes
from fastitpn.models.acceleration.settings import PRESETS, Acceleration

PX, BATCH = 224, 32
LARGER_PX = 448
TRAIN_PER_CLASS, VAL_PER_CLASS = 150, 200
SEGMENT_SCENES = (900, 450)
PLAIN_STEPS, ARM_STEPS = 300, 90
PLAIN_LR, ARM_LR = 1e-3, 3e-4
AUGMENT = v2.Compose(
    [v2.RandomResizedCrop(PX, scale=(0.35, 1.0), antialias=True), v2.RandomHorizontalFlip(), v2.ToDtype(torch.uint8)]
)


@dataclasses.dataclass(frozen=True)
class Split:
    """Scenes in memory."""

    images: Tensor
    """[S, 3, 224, 224] uint8."""
    targets: Tensor
    """[S] classes, or [S, 224, 224] classes of pixels."""


class Segmenter(nn.Module):
    """Classes of pixels from the pyramid: a Linear on its levels 4, 8 and 16, summed at stride 4."""

    def __init__(self, backbone: nn.Module, num_classes: int):
        super().__init__()
        self.backbone = backbone
        dim = backbone.feature_info[0]["num_chs"]
        self.heads = nn.ModuleList(nn.Conv2d(dim, num_classes, 1) for _ in range(3))

    def forward(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] to logits [B, classes, H/4, W/4]."""
        maps = self.backbone.pyramid_features(images)
        logits = [head(x) for head, x in zip(self.heads, maps, strict=False)]
        return sum(F.interpolate(x, logits[0].shape[-2:], mode="bilinear") for x in logits)


def arms() -> dict[str, Acceleration]:
    """The presets, and for each of them the controls."""
    found = {}
    for name, preset in PRESETS.items():
        found[name] = preset
        if preset.migration is not None:
            for control, change in (("random choice", {"metric": "random"}), ("not put back", {"replenish": "mean"})):
                migration = dataclasses.replace(preset.migration, **change)
                found[f"{name}, {control}"] = dataclasses.replace(preset, name=name, migration=migration)
    return found


def read_scenes(task: str, seed: int, work: Path) -> tuple[dict[str, Split], int]:
    """The scenes of a seed, and the number of classes."""
    scenes = build_scenes(
        work / "data" / str(seed),
        forms=("classify", "segment"),
        train_per_class=TRAIN_PER_CLASS,
        val_per_class=VAL_PER_CLASS,
        segment=SEGMENT_SCENES,
        px=(PX, PX),
        seed=seed,
    )
    splits = {}
    for name in ("train", "val"):
        if task == "classify":
            samples = labelled(scenes.directory / "classify" / name)
            paths, targets = samples.paths, torch.tensor(samples.labels)
        else:
            folder = scenes.directory / "segment"
            paths = sorted((folder / "images" / name).iterdir())
            masks = [np.asarray(Image.open(folder / "masks" / name / f"{path.stem}.png")) for path in paths]
            targets = torch.from_numpy(np.stack(masks)).long()
        images = torch.stack([v2.functional.pil_to_tensor(Image.open(path).convert("RGB")) for path in paths])
        splits[name] = Split(images, targets)
    return splits, len(scenes.classes) + (task == "segment")


def build(task: str, num_classes: int, weights: Path) -> nn.Module:
    """The network with its pre-trained weights, and a fresh head."""
    pyramid = task == "segment"
    model = fastitpn.create_model(
        "fastitpn_nano",
        pyramid=pyramid,
        img_size=PX,
        num_classes=0 if pyramid else num_classes,
        global_pool="" if pyramid else "avg",
        drop_path_rate=0.05,
    )
    fastitpn.load_weights(model, weights)
    return Segmenter(model, num_classes) if pyramid else model


def batches(split: Split, steps: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """`steps` augmented batches, the same for the same seed."""
    torch.manual_seed(seed)
    for _ in range(steps):
        chosen = torch.randint(len(split.images), (BATCH,))
        if split.targets.ndim == 1:
            yield normalise(torch.stack([AUGMENT(image) for image in split.images[chosen]])), split.targets[chosen]
        else:
            pairs = [
                AUGMENT(tv_tensors.Image(split.images[i]), tv_tensors.Mask(split.targets[i])) for i in chosen.tolist()
            ]
            images, masks = zip(*pairs, strict=True)
            yield normalise(torch.stack(images)), torch.stack(masks).long()


def normalise(images: Tensor) -> Tensor:
    """uint8 to what the network takes."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (images.as_subclass(Tensor).float() / 255 - mean) / std


def train(model: nn.Module, split: Split, *, steps: int, lr: float, seed: int) -> None:
    """AdamW, warm-up over a tenth of the steps, cosine to zero."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    other = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": other, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, fused=True)
    model.train()
    for step, (images, targets) in enumerate(batches(split, steps, seed)):
        share = min((step + 1) / (0.1 * steps), 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = lr * share
        with torch.random.fork_rng(devices=[]):  # random choices inside the network do not change the batches
            torch.manual_seed(100_000 * (seed + 1) + step)
            logits = model(images)
        if targets.ndim > 1:
            logits = F.interpolate(logits, targets.shape[-2:], mode="bilinear")
        loss = F.cross_entropy(logits, targets, label_smoothing=0.1)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        optimizer.step()


@torch.inference_mode()
def evaluate(model: nn.Module, split: Split, num_classes: int, px: int = PX) -> float:
    """Top-1 accuracy, or mean intersection over union with the background, in percent; of images enlarged to `px`."""
    torch.manual_seed(0)
    model.eval()
    counts = torch.zeros(num_classes * num_classes, dtype=torch.long)
    for images, targets in zip(split.images.split(BATCH), split.targets.split(BATCH), strict=True):
        logits = model(F.interpolate(normalise(images), (px, px), mode="bilinear"))
        if targets.ndim > 1:
            logits = F.interpolate(logits, targets.shape[-2:], mode="bilinear")
        pairs = targets * num_classes + logits.argmax(1)
        counts += torch.bincount(pairs.flatten(), minlength=num_classes * num_classes)
    matrix = counts.view(num_classes, num_classes).double()
    right = matrix.diagonal()
    if split.targets.ndim == 1:
        return 100 * (right.sum() / matrix.sum()).item()
    return 100 * (right / (matrix.sum(0) + matrix.sum(1) - right)).mean().item()


def set_acceleration(model: nn.Module, acceleration: Acceleration) -> None:
    """Of the classifier, or of the segmenter's backbone."""
    getattr(model, "backbone", model).set_acceleration(acceleration)


def run(task: str, seed: int, weights: Path, work: Path, only: list[str] | None) -> Iterator[dict]:
    """Rows of a seed: what each arm reaches without training and with."""
    splits, num_classes = read_scenes(task, seed, work)
    base = work / f"{task}-{seed}-plain.pt"
    torch.manual_seed(seed)
    model = build(task, num_classes, weights)
    if not base.exists():
        train(model, splits["train"], steps=PLAIN_STEPS, lr=PLAIN_LR, seed=seed)
        torch.save(model.state_dict(), base.with_suffix(".part"))
        base.with_suffix(".part").rename(base)
    for name, acceleration in arms().items():
        if only and name not in only:
            continue
        done = work / f"{task}-{seed}-{name.replace(', ', '-').replace(' ', '_')}.json"
        described = acceleration.to_dict()
        if done.exists() and (row := json.loads(done.read_text()))["acceleration"] == described:
            yield row | at_larger_size(model, name, base, splits["val"], num_classes, done)
            continue
        model.load_state_dict(torch.load(base, weights_only=True))
        set_acceleration(model, acceleration)
        untrained = evaluate(model, splits["val"], num_classes)
        train(model, splits["train"], steps=ARM_STEPS, lr=ARM_LR, seed=seed + 1000)
        trained = evaluate(model, splits["val"], num_classes)
        row = {"task": task, "seed": seed, "arm": name, "untrained": untrained, "trained": trained}
        row["acceleration"] = described
        done.write_text(json.dumps(row))
        yield row | at_larger_size(model, name, base, splits["val"], num_classes, done)


def at_larger_size(
    model: nn.Module, arm: str, base: Path, split: Split, num_classes: int, stored: Path
) -> dict[str, float]:
    """The plain network's figure with a preset switched on at `LARGER_PX`; nothing for the controls."""
    if arm not in PRESETS:
        return {}
    stored = stored.with_stem(f"{stored.stem}-{LARGER_PX}")
    if not stored.exists():
        model.load_state_dict(torch.load(base, weights_only=True))
        set_acceleration(model, PRESETS[arm])
        figure = evaluate(model, split, num_classes, LARGER_PX)
        stored.write_text(json.dumps({f"untrained_{LARGER_PX}": figure}))
    return json.loads(stored.read_text())


def summarise(rows: list[dict]) -> list[dict]:
    """Per task and arm: the mean over seeds, and the difference to the plain network of the same seed."""
    found = []
    for (task, arm), members in itertools.groupby(
        sorted(rows, key=lambda row: (row["task"], list(arms()).index(row["arm"]))),
        lambda row: (row["task"], row["arm"]),
    ):
        members = list(members)
        summary = {"task": task, "arm": arm, "seeds": len(members)}
        for key in ("trained", "untrained", f"untrained_{LARGER_PX}"):
            if any(key not in row for row in members):
                continue
            plain = {row["seed"]: row[key] for row in rows if row["task"] == task and row["arm"] == "off"}
            changes = [row[key] - plain[row["seed"]] for row in members if row["seed"] in plain]
            summary[key] = round(statistics.mean(row[key] for row in members), 2)
            summary[f"{key}_change"] = round(statistics.mean(changes), 2)
            summary[f"{key}_spread"] = [round(min(changes), 2), round(max(changes), 2)]
        found.append(summary)
    return found


def main() -> None:
    """Run what is not done yet, print and store the summary."""
    options = dict(word.split("=", 1) for word in sys.argv[1:])
    if "weights" not in options:
        raise SystemExit("weights=RUN is needed: the folder of a pre-training of fastitpn_nano, as runs/demo/pretrain")
    work = Path(options.get("work", "runs/acceleration-quality"))
    work.mkdir(parents=True, exist_ok=True)
    only = options["arms"].split(";") if "arms" in options else None
    rows = []
    for seed in (int(word) for word in options.get("seeds", "0,1,2").split(",")):
        for task in options.get("tasks", "classify,segment").split(","):
            for row in run(task, seed, Path(options["weights"]), work, only):
                rows.append(row)
                print(f"{task} seed {seed} {row['arm']}: {row['untrained']:.2f} {row['trained']:.2f}", flush=True)
    summary = summarise(rows)
    for row in summary:
        print(json.dumps(row))
    if "out" in options:
        scale = f"fastitpn_nano at {PX} px; {VAL_PER_CLASS} scenes per class, or {SEGMENT_SCENES[1]}, to validate on"
        steps = f"{PLAIN_STEPS} plain steps of {BATCH}, then {ARM_STEPS} with the acceleration"
        command = "python -m benchmarks.acceleration_quality " + " ".join(
            f"{key}={value}" for key, value in options.items() if key != "work"
        )
        result = {"command": command, "scale": scale, "steps": steps, **describe_machine(), "summary": summary}
        Path(options["out"]).write_text(json.dumps({**result, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
