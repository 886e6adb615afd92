"""What the acceleration costs in quality: classification and segmentation at 224 px, several seeds, with controls.

    python -m benchmarks.acceleration_quality weights=RUN [key=value ...]

Small scale: `fastitpn_nano` (196 tokens, six blocks of attention) on composed scenes (`fastitpn.data.scenes`), from the
weights of a pre-training. For each seed one plain network is trained; then every arm goes on from it, with its own
acceleration, for the same steps over the same batches, and so does the plain network. A figure is the difference to
that plain continuation. Each arm is also switched on without any training. The controls, for each preset: tokens chosen
at random, and tokens that leave without being put back.

At 224 px the presets' windows cover the whole map, so these figures are migration's. The presets are therefore also
switched on without any training at 448 px, where both parts act.

What is done is kept in `work`, and rows in `out`; the same command typed again goes on where it stopped.
"""

import dataclasses
import math
import statistics
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers import to_2tuple
from torch import Tensor, nn
from torchvision import tv_tensors
from torchvision.transforms import v2

import fastitpn
from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import Seeds, split_arms, start, unknown_arms
from benchmarks.harness.results import Results, Row, once
from benchmarks.harness.summary import mean_and_spread, paired_differences
from fastitpn.data.classification.labelled import labelled
from fastitpn.data.scenes import build_scenes
from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.files import replacing
from fastitpn.models.acceleration.settings import PRESETS, Acceleration
from fastitpn.tasks.segment.patch_loss import patch_loss

PX, BATCH = 224, 32
LARGER_PX = 448
TRAIN_PER_CLASS, VAL_PER_CLASS = 150, 200
SEGMENT_SCENES = (900, 450)
PLAIN_STEPS, ARM_STEPS = 300, 90
PLAIN_LR, ARM_LR = 1e-3, 3e-4
AUGMENT = v2.Compose(
    [v2.RandomResizedCrop(PX, scale=(0.35, 1.0), antialias=True), v2.RandomHorizontalFlip(), v2.ToDtype(torch.uint8)]
)


TASKS = ("classify", "segment")
IDENTITY = ("task", "seed", "arm")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """Quality."""

    _unwritten = ("out", "work", "tasks", "seeds", "arms")

    weights: Path
    """Folder of a pre-training of fastitpn_nano, such as runs/demo/pretrain."""
    tasks: tuple[Literal[*TASKS], ...] = TASKS
    """What to train for."""
    seeds: Seeds = (0, 1, 2)
    """Each changes the scenes, the head's start values and the order of the images."""
    arms: str | None = None
    """Which arms, separated by semicolons ("off;balanced, random choice"); none takes all of them."""
    work: Path = Path("runs/acceleration-quality")
    """Folder for scenes and plain networks; what is done there is not done again."""

    def problems(self) -> list[str]:
        """Names no arm that there is not."""
        return unknown_arms(self.arms, arms())


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
    accelerations = {}
    for name, preset in PRESETS.items():
        accelerations[name] = preset
        if preset.migration is not None:
            for control, change in (("random choice", {"metric": "random"}), ("not put back", {"replenish": "mean"})):
                migration = dataclasses.replace(preset.migration, **change)
                accelerations[f"{name}, {control}"] = dataclasses.replace(preset, name=name, migration=migration)
    return accelerations


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


def batches(
    split: Split, steps: int, seed: int, *, batch: int = BATCH, augment: v2.Transform = AUGMENT
) -> Iterator[tuple[Tensor, Tensor]]:
    """`steps` augmented batches, the same for the same seed."""
    torch.manual_seed(seed)
    for _ in range(steps):
        chosen = torch.randint(len(split.images), (batch,))
        if split.targets.ndim == 1:
            yield normalise(torch.stack([augment(image) for image in split.images[chosen]])), split.targets[chosen]
        else:
            pairs = [
                augment(tv_tensors.Image(split.images[i]), tv_tensors.Mask(split.targets[i])) for i in chosen.tolist()
            ]
            images, masks = zip(*pairs, strict=True)
            yield normalise(torch.stack(images)), torch.stack(masks).long()


def normalise(images: Tensor) -> Tensor:
    """uint8 to what the network takes."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD))
    return (images.as_subclass(Tensor).float() / 255 - mean) / std


def train(model: nn.Module, split: Split, *, steps: int, lr: float, seed: int, **how: Any) -> None:
    """AdamW, warm-up over a tenth of the steps, cosine to zero; `how` is for `batches`."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    other = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": other, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, fused=True)
    model.train()
    scorers = getattr(model, "backbone", model).scorers or ()
    for step, (images, targets) in enumerate(batches(split, steps, seed, **how)):
        share = min((step + 1) / (0.1 * steps), 0.5 * (1 + math.cos(math.pi * step / steps)))
        for group in optimizer.param_groups:
            group["lr"] = lr * share
        with torch.random.fork_rng(devices=[]):  # random choices inside the network do not change the batches
            torch.manual_seed(100_000 * (seed + 1) + step)
            logits = model(images)
        if targets.ndim > 1:
            logits = F.interpolate(logits, targets.shape[-2:], mode="bilinear")
        loss = F.cross_entropy(logits, targets, label_smoothing=0.1, ignore_index=IGNORE)
        for scorer in scorers:
            if scorer.has_seen:
                said = scorer.predict()
                loss = loss + (F.cross_entropy(said[:, 0], targets) if targets.ndim == 1 else patch_loss(said, targets))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        optimizer.step()


@torch.inference_mode()
def evaluate(
    model: nn.Module, split: Split, num_classes: int, px: int | tuple[int, int] = PX, batch: int = BATCH
) -> float:
    """Top-1 accuracy, or mean intersection over union with the background, in percent; of images resized to `px`."""
    torch.manual_seed(0)
    model.eval()
    counts = torch.zeros(num_classes * num_classes, dtype=torch.long)
    for images, targets in zip(split.images.split(batch), split.targets.split(batch), strict=True):
        logits = model(F.interpolate(normalise(images), to_2tuple(px), mode="bilinear"))
        if targets.ndim > 1:
            logits = F.interpolate(logits, targets.shape[-2:], mode="bilinear")
        pairs = (targets * num_classes + logits.argmax(1))[targets != IGNORE]
        counts += torch.bincount(pairs, minlength=num_classes * num_classes)
    matrix = counts.view(num_classes, num_classes).double()
    right = matrix.diagonal()
    if split.targets.ndim == 1:
        return 100 * (right.sum() / matrix.sum()).item()
    return 100 * (right / (matrix.sum(0) + matrix.sum(1) - right)).nanmean().item()


def rows_of(task: str, seed: int, names: Iterable[str], options: Options) -> Iterator[Row]:
    """What each arm reaches without training and with."""
    splits, num_classes = read_scenes(task, seed, options.work)
    torch.manual_seed(seed)
    model = build(task, num_classes, options.weights)
    plain = options.work / f"{task}-{seed}-plain.pt"

    def train_plain() -> Row:
        train(model, splits["train"], steps=PLAIN_STEPS, lr=PLAIN_LR, seed=seed)
        with replacing(plain) as file:
            torch.save(model.state_dict(), file)
        return {"steps": PLAIN_STEPS}

    def switch_on(acceleration: Acceleration) -> None:
        model.load_state_dict(torch.load(plain, weights_only=True))
        getattr(model, "backbone", model).set_acceleration(acceleration)

    def measure(arm: str) -> Row:
        acceleration = arms()[arm]
        switch_on(acceleration)
        untrained = evaluate(model, splits["val"], num_classes)
        train(model, splits["train"], steps=ARM_STEPS, lr=ARM_LR, seed=seed + 1000)
        trained = evaluate(model, splits["val"], num_classes)
        row = {"task": task, "seed": seed, "arm": arm, "untrained": untrained, "trained": trained}
        row["acceleration"] = acceleration.to_dict()
        if arm in PRESETS:
            switch_on(acceleration)
            row[f"untrained_{LARGER_PX}"] = evaluate(model, splits["val"], num_classes, LARGER_PX)
        return row

    once(plain.with_suffix(".json"), options, train_plain)
    for arm in names:
        path = options.work / f"{task}-{seed}-{arm.replace(', ', '-').replace(' ', '_')}.json"
        yield once(path, options, partial(measure, arm), acceleration=arms()[arm].to_dict())


def summarise(rows: Iterable[Row]) -> list[Row]:
    """Per task and arm: the mean over seeds, and the difference to the plain network of the same seed."""
    groups: dict[tuple[str, str], dict[int, Row]] = {}
    for row in sorted(rows, key=lambda row: (row["task"], list(arms()).index(row["arm"]))):
        groups.setdefault((row["task"], row["arm"]), {})[row["seed"]] = row
    summaries = []
    for (task, arm), members in groups.items():
        summary: dict[str, Any] = {"task": task, "arm": arm, "seeds": len(members)}
        for key in ("trained", "untrained", f"untrained_{LARGER_PX}"):
            values, plain = (
                {seed: row[key] for seed, row in of_seed.items() if key in row}
                for of_seed in (members, groups.get((task, "off"), {}))
            )
            if len(values) < len(members):
                continue
            summary[key] = round(statistics.mean(values.values()), 2)
            if changes := paired_differences(values, plain):
                change = mean_and_spread(changes.values())
                summary |= {f"{key}_change": change["mean"], f"{key}_spread": change["spread"]}
        summaries.append(summary)
    return summaries


def run(options: Options) -> None:
    """Does what is not done yet, prints and stores the summary."""
    scale = f"fastitpn_nano at {PX} px; {VAL_PER_CLASS} scenes per class, or {SEGMENT_SCENES[1]}, to validate on"
    steps = f"{PLAIN_STEPS} plain steps of {BATCH}, then {ARM_STEPS} with the acceleration"
    results = Results(
        options, lambda rows: {"scale": scale, "steps": steps, "summary": summarise(rows)}, identity=IDENTITY
    )
    for seed in options.seeds:
        for task in options.tasks:
            names = [arm for arm in split_arms(options.arms, arms()) if not results.has(task, seed, arm)]
            for row in rows_of(task, seed, names, options) if names else ():
                results.add(row)
    results.finish()


if __name__ == "__main__":
    start(Options, run)
