"""Which tokens should leave: the criteria of token migration at equal speed, each trained with, on photographs.

    python -m benchmarks.token_arena weights=RUN camvid=FOLDER [key=value ...]

CamVid (streets, 11 classes), small scale: `fastitpn_nano` with a Linear on each level of its pyramid, from the weights
of a pre-training. For each seed a plain network is trained; every arm goes on from it, with its own acceleration, for
the same steps over the same batches, and so does the plain network. A figure is the difference to that continuation, in
points of mean IoU on the validation images. Arms are also switched on without training, where they have nothing to
learn.

Criteria cost differently much, so equal shares of tokens are no fair comparison. All are first timed with several
shares, in rounds in which all take turns; each then gets the share with which it is as fast as `bipartite` with 0.4.
That is the preset `balanced`, whose windows hold the whole map at this size, as those of `fast` do. At more than twice
the size there is gathering in windows of 8 without global blocks: with gathering tokens that are means (`windows`), and
with learned ones.

What is done is kept in `work`, and rows in `out`; the same command typed again goes on where it stopped.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision.transforms import v2

import fastitpn
from benchmarks.acceleration_quality import Segmenter, Split, evaluate, train
from benchmarks.harness.options import Options as AnyOptions
from benchmarks.harness.options import Seeds, split_arms, start, unknown_arms
from benchmarks.harness.results import Results, Row, once
from benchmarks.harness.rounds import take_turns
from benchmarks.harness.summary import mean_and_spread, paired_differences, speed_up
from fastitpn.data.images.decode import read_image
from fastitpn.data.segmentation.images import MaskFolders, segmentation_images
from fastitpn.files import replacing
from fastitpn.models.acceleration.criteria.registry import CRITERIA
from fastitpn.models.acceleration.gathering import Gathering
from fastitpn.models.acceleration.migration import Migration
from fastitpn.models.acceleration.settings import PRESETS, Acceleration

PX, LARGER_PX = (160, 208), (448, 576)
BATCH, LARGER_BATCH = 8, 2
PLAIN_STEPS, ARM_STEPS = 60, 60
PLAIN_LR, ARM_LR = 1e-3, 3e-4
REFERENCE, KEEP_RATIO = "bipartite", 0.4
SHARES = (0.15, 0.25, 0.35, 0.45, 0.6)
"""Shares with which each criterion is timed; between them its speed is taken to be straight."""
WINDOWS = ("windows off", "windows", "windows, learned")
"""Arms at the larger size; the first is the plain network there."""
ARMS = ("off", *CRITERIA, "fast", *WINDOWS)
IDENTITY = ("seed", "arm")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(AnyOptions):
    """Criteria."""

    _unwritten = ("out", "work", "seeds", "arms", "camvid")

    weights: Path
    """Folder of a pre-training of fastitpn_nano, such as runs/demo/pretrain."""
    camvid: Path = Path("camvid")
    """Folder of CamVid, with images, masks and classes.yaml."""
    seeds: Seeds = (0, 1, 2)
    """Each changes the head's start values and the order of the images."""
    arms: str | None = None
    """Which arms, separated by semicolons ("off;learned"); none takes all of them."""
    rounds: int = 12
    """Rounds in which the criteria take turns to be timed."""
    work: Path = Path("runs/token-arena")
    """Folder for plain networks; what is done there is not done again."""

    def problems(self) -> list[str]:
        """Names no arm that there is not."""
        return unknown_arms(self.arms, ARMS)


def acceleration_of(arm: str, share: float = KEEP_RATIO) -> Acceleration:
    """What an arm runs with; a criterion with a share of the tokens that stays."""
    if arm in CRITERIA:
        migration = Migration(keep_ratio=share, after_blocks=(0.25,), replenish="residual")
        return Acceleration(name="arena", migration=migration).with_parts(arm)
    if arm in WINDOWS[1:]:
        tokens = "learned" if arm.endswith("learned") else "mean"
        return Acceleration(name="arena", gathering=Gathering(window=8, global_blocks=0, tokens=tokens))
    return PRESETS["off" if arm in WINDOWS else arm]


def equal_share(wanted: float, shares: Iterable[float], ratios: Iterable[float]) -> float:
    """The share of the tokens at which a criterion is as fast as wanted, within those that were timed."""
    listed = sorted(zip(ratios, shares, strict=True))
    return float(np.interp(wanted, [ratio for ratio, _ in listed], [share for _, share in listed]))


def read_camvid(folder: Path, part: str, px: tuple[int, int]) -> tuple[Split, int]:
    """The images of a part in memory, resized, and the number of classes."""
    images = segmentation_images(MaskFolders(data=folder, part=part))
    pixels = [v2.functional.pil_to_tensor(read_image(path)) for path in images.images]
    masks = [torch.from_numpy(np.array(images.labels(place))).long()[None] for place in range(len(pixels))]
    nearest = v2.InterpolationMode.NEAREST
    return Split(
        torch.stack([v2.functional.resize(image, list(px), antialias=True) for image in pixels]),
        torch.cat([v2.functional.resize(mask, list(px), interpolation=nearest) for mask in masks]),
    ), len(images.classes.names)


def build(num_classes: int, weights: Path) -> Segmenter:
    """The network with its pre-trained weights, a fresh head, and a fresh scorer for the arm that needs one."""
    queries = (PX[0] // 16) ** 2
    backbone = fastitpn.create_model(
        "fastitpn_nano",
        pyramid=True,
        img_size=PX,
        num_classes=0,
        global_pool="",
        scorers=(1, queries, num_classes),
    )
    fastitpn.load_weights(backbone, weights)
    return Segmenter(backbone, num_classes)


@torch.inference_mode()
def time_arms(model: nn.Module, accelerations: Mapping[str, Acceleration], rounds: int) -> dict[str, float]:
    """How many times as fast as the plain network each is, one image at a time; the median of the rounds."""
    backbone: Any = model.eval().backbone
    image = torch.randn(1, 3, *PX)

    def run(acceleration: Acceleration) -> None:
        backbone.set_acceleration(acceleration)
        backbone.pyramid_features(image)

    runs = {"off": PRESETS["off"], **accelerations}
    times = take_turns({name: partial(run, acceleration) for name, acceleration in runs.items()}, rounds)
    return {name: speed_up(times["off"], times[name])[0] for name in accelerations}


def equal_shares(model: nn.Module, options: Options) -> Row:
    """Share of the tokens for each criterion, with how fast it is."""
    timed = {f"{name} {share:g}": acceleration_of(name, share) for name in CRITERIA for share in (*SHARES, KEEP_RATIO)}
    ratios = time_arms(model, timed, options.rounds)
    wanted = ratios[f"{REFERENCE} {KEEP_RATIO:g}"]
    shares = {
        name: round(equal_share(wanted, SHARES, [ratios[f"{name} {share:g}"] for share in SHARES]), 3)
        for name in CRITERIA
    }
    shares[REFERENCE] = KEEP_RATIO
    chosen = {name: acceleration_of(name, share) for name, share in shares.items()}
    return {"shares": shares, "speeds": time_arms(model, {**chosen, **PRESETS}, options.rounds)}


class Arena:
    """The arms of a seed.

    Args:
        options: Of the benchmark.
        seed: Of the head's start values and of the order of the images.
    """

    def __init__(self, options: Options, seed: int):
        self.options, self.seed = options, seed
        self.train_split, self.num_classes = read_camvid(options.camvid, "train", PX)
        self.val_split, _ = read_camvid(options.camvid, "val", PX)
        torch.manual_seed(seed)
        self.model = build(self.num_classes, options.weights)
        self.plain = options.work / f"{seed}-plain.pt"
        once(self.plain.with_suffix(".json"), options, self._train_plain)
        self.equal = once(options.work / "equal.json", options, partial(equal_shares, self.model, options))

    def _train(self, steps: int, lr: float, seed: int, *, larger: bool = False) -> None:
        crop = v2.RandomResizedCrop(LARGER_PX if larger else PX, scale=(0.35, 1.0), antialias=True)
        augment = v2.Compose([crop, v2.RandomHorizontalFlip(), v2.ToDtype(torch.uint8)])
        batch = LARGER_BATCH if larger else BATCH
        train(self.model, self.train_split, steps=steps, lr=lr, seed=seed, batch=batch, augment=augment)

    def _train_plain(self) -> Row:
        self._train(PLAIN_STEPS, PLAIN_LR, self.seed)
        self.plain.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.plain) as file:
            torch.save(self.model.state_dict(), file)
        return {"steps": PLAIN_STEPS}

    def measure(self, arm: str) -> Row:
        """What an arm reaches without training, where it can do without, and with."""
        larger, share = arm in WINDOWS, self.equal["shares"].get(arm, KEEP_RATIO)
        acceleration = acceleration_of(arm, share)
        backbone: Any = self.model.backbone
        backbone.set_acceleration("off")
        backbone.gathering_tokens = None
        self.model.load_state_dict(torch.load(self.plain, weights_only=True))
        backbone.set_acceleration(acceleration)
        look: dict[str, Any] = {"px": LARGER_PX if larger else PX, "batch": LARGER_BATCH if larger else BATCH}
        row: Row = {"seed": self.seed, "arm": arm, "keep_ratio": share if arm in CRITERIA else None}
        row["speed"] = self.equal["speeds"].get(arm)
        row["untrained"] = None
        if not acceleration.num_scorers:
            row["untrained"] = evaluate(self.model, self.val_split, self.num_classes, **look)
        self._train(ARM_STEPS, ARM_LR, self.seed + 1000, larger=larger)
        return row | {"trained": evaluate(self.model, self.val_split, self.num_classes, **look)}


def summarise(rows: list[Row]) -> list[Row]:
    """Of each arm: its speed, and points of mean IoU against the plain network of the same seed and size."""
    of_arm = {arm: {row["seed"]: row for row in rows if row["arm"] == arm} for arm in ARMS}
    summary = []
    for arm, members in of_arm.items():
        plain = of_arm[WINDOWS[0] if arm in WINDOWS else "off"]
        line: Row = {"arm": arm, "seeds": len(members), "speed": next((row["speed"] for row in members.values()), None)}
        for key in ("trained", "untrained"):
            values, others = ({s: r[key] for s, r in some.items() if r[key] is not None} for some in (members, plain))
            if changes := paired_differences(values, others):
                change = mean_and_spread(changes.values())
                line |= {f"{key}_change": change["mean"], f"{key}_spread": change["spread"]}
        if members:
            summary.append(line)
    return summary


def run(options: Options) -> None:
    """Does what is not done yet; prints and stores the figures."""
    scale = f"fastitpn_nano at {PX[0]}x{PX[1]} px, windows at {LARGER_PX[0]}x{LARGER_PX[1]}; 101 images to validate on"
    steps = f"{PLAIN_STEPS} plain steps of {BATCH}, then {ARM_STEPS} of each arm (of {LARGER_BATCH} for windows)"
    results = Results(
        options, lambda rows: {"scale": scale, "steps": steps, "summary": summarise(rows)}, identity=IDENTITY
    )
    for seed in options.seeds:
        arms = [arm for arm in split_arms(options.arms, ARMS) if not results.has(seed, arm)]
        arena = Arena(options, seed) if arms else None
        for arm in arms:
            assert arena is not None
            results.add(arena.measure(arm))
    results.finish()


if __name__ == "__main__":
    start(Options, run)
