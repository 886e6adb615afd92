"""The brief fine-tuning with a setting: the run's own training, from its weights, at a fifth of its learning rate."""

import dataclasses
from pathlib import Path
from typing import Any

from fastitpn.errors import InputError
from fastitpn.runs.run import CONFIG
from fastitpn.runs.trained_model import TrainedCheckpoint
from fastitpn.tasks.finetuning import run_finetune
from fastitpn.tasks.keys import FinetuneConfig
from fastitpn.tasks.run_data import run_settings

LR = 0.2
"""Of the learning rate of the run."""
PASSES = 4.0
"""What a step costs in passes of one image, forward and backward and the optimiser, for each of its images."""
SHARE = 0.4
"""Of the time, for the training."""
FEWEST_STEPS = 10


def training_config(checkpoint: TrainedCheckpoint) -> FinetuneConfig:
    """The settings of the run that a checkpoint lies in.

    Raises:
        InputError: It lies in none, or its data is not there.
    """
    config = run_settings(checkpoint)
    if config is None or not config.data.exists():
        raise InputError(
            "train=true: the settings and the data of the training are not here",
            where=checkpoint.path.parent.parent / CONFIG,
            expected="the folder of the run, on a machine that has its data",
            fix="train=false, or: fastitpn finetune TASK data=FOLDER weights=RUN acceleration=balanced",
        )
    return config


def num_steps(config: FinetuneConfig, seconds: float, pass_s: float) -> int:
    """Steps that fit into a time.

    Args:
        config: Settings of the training, whose batch counts.
        seconds: Time for it.
        pass_s: Seconds of a pass of one image with the setting.
    """
    return max(FEWEST_STEPS, int(seconds / (PASSES * pass_s * config.batch * config.accumulate)))


def train(config: FinetuneConfig, weights: Path, out: Path, *, steps: int, **machine: Any) -> Path:
    """Fine-tune; the checkpoint that is best on the run's own validation images.

    Args:
        config: Settings of the run, most of which stay.
        weights: A checkpoint that carries the setting.
        out: Folder of the training.
        steps: Length of the training in steps of the optimiser.
        **machine: `device`, `precision`, `workers`.
    """
    brief: dict[str, Any] = {"weights": weights, "out": out, "scratch": False, "defaults": "fixed"}
    brief |= dict.fromkeys(("model", "key", "prefix", "blocks", "acceleration"))  # those of the weights
    brief |= {"steps": steps, "epochs": None, "warmup_steps": steps // 10, "warmup_epochs": None}
    brief |= {"lr": LR * config.lr, "min_lr": 0.0, "schedule": "cosine", "milestones": None, "eval_every_epochs": 1e6}
    run = run_finetune(dataclasses.replace(config, **brief, **machine))
    best = run.best_checkpoint
    assert best is not None
    return best
