"""`fastitpn accelerate`: the fastest acceleration that loses no more than it may, on the user's images and machine."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastitpn.console import printing, say
from fastitpn.data.images.reading import reads_images
from fastitpn.errors import InputError
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.models.acceleration.criteria.registry import CRITERIA
from fastitpn.models.weights.cache import sha256
from fastitpn.runs.output import check_no_run, make_folder
from fastitpn.runs.trained_model import TrainedCheckpoint, open_checkpoint
from fastitpn.tasks.keys import EvaluateConfig
from fastitpn.tasks.loading import load_trained
from fastitpn.training.progress import ProgressDisplay
from fastitpn.tuning.choice import FINAL_S, choose, measure_final
from fastitpn.tuning.config import PYTORCH, AccelerateConfig
from fastitpn.tuning.measured import STATE, Measured, Row
from fastitpn.tuning.outcome import Accelerated, write_outcome
from fastitpn.tuning.quality import Quality
from fastitpn.tuning.report import in_words
from fastitpn.tuning.search import Budget, Search
from fastitpn.tuning.space import Space
from fastitpn.tuning.speed import GraphSpeed, Speedometer
from fastitpn.tuning.subject import Subject, open_subject
from fastitpn.tuning.training import SHARE, num_steps, train, training_config
from fastitpn.tuning.tuned_run import write_tuned_run
from fastitpn.tuning.verification import loss_on_test

TRAINING = "training"
"""Folder of the brief fine-tuning."""
FINAL_SHARE, GRAPHS_SHARE = 0.1, 0.4
"""Of the time, for the speeds at the end; where graphs must be exported for that, they take most of it."""
REGAINED = 4.0
"""A training may win back what a setting loses up to so many times `max_loss`."""
LINE_S = 5.0


@reads_images
def run_accelerate(config: AccelerateConfig, keys: EvaluateConfig, checkpoint: TrainedCheckpoint) -> Accelerated:
    """Search, choose, and write the copy with its table, plot and report.

    Args:
        config: Keys of the command.
        keys: Those of them that `evaluate` has for the checkpoint's task.
        checkpoint: The run's.

    Raises:
        InputError: A key, the data, the runtime or the model is wrong, or nothing loses as little as was asked for.
    """
    began = time.monotonic()
    if not (config.out / STATE).is_file():
        check_no_run(config.out, "accelerated")
    if config.runtime != PYTORCH:
        FORMATS[config.runtime].check_installed()
    if config.train:
        training_config(checkpoint)  # says what is missing before anything is measured
    subject = open_subject(checkpoint, keys, seed=config.seed)
    trained, quality = subject.trained, subject.quality
    made, fresh = not config.out.exists(), not (config.out / STATE).is_file()
    make_folder(config.out)
    measured = Measured(config.out / STATE, _identity(config, checkpoint, subject))
    budget = Budget(60 * config.minutes, measured.seconds + time.monotonic() - began)
    eager = subject.eager_speed()
    last: Speedometer = eager
    if config.runtime != PYTORCH:
        last = GraphSpeed(config.runtime, subject.spec, trained, subject.images, lambda: printing(False))
    space = Space(
        subject.grid,
        trained.backbone.num_attention_blocks,
        CRITERIA,
        trained.backbone.set_acceleration,
        seed=config.seed,
        more=(subject.own,),
    )
    images_in_all = quality.num_images
    try:
        with _progress(config, budget) as trying:
            kept_back = FINAL_SHARE if config.runtime == PYTORCH else GRAPHS_SHARE
            of_training = SHARE if config.train else 0.0
            search_budget = Budget(budget.seconds * (1 - kept_back - of_training), budget.spent)
            search = Search(space, eager, quality, measured, search_budget, config.max_loss, trying)
            search.run()
            images_in_all = search.images
            enough = Budget(budget.seconds * (1 - of_training), budget.spent)
            loss = config.max_loss * (REGAINED if config.train else 1)
            how: dict[str, Any] = {"max_loss": loss, "seconds": min(FINAL_S, config.minutes), "trying": trying}
            measure_final(search.finalists, last, measured, enough, **how)
            row, content = _regained(config, checkpoint, quality, measured, budget, images_in_all, trying)
    except InputError:
        if fresh:
            (config.out / STATE).unlink(missing_ok=True)
            shutil.rmtree(config.out if made else config.out / TRAINING, ignore_errors=True)
        raise
    rows = [other for other in measured if other.speed and other.speed.is_gain and other.measured_on(images_in_all)]
    write_tuned_run(config.out, checkpoint.path, content, row.setting)
    tuned = subject.spec.resized(load_trained(config.out), keys)
    accelerated = Accelerated(
        out=config.out,
        chosen=row,
        rows=[other for other in rows if other.final or config.runtime == PYTORCH],  # in the runtime that was asked for
        metric=quality.metric,
        images=images_in_all,
        images_given=quality.num_images,
        on_test=loss_on_test(subject, tuned, keys, seconds=budget.left, seed=config.seed),
    )
    write_outcome(config, accelerated, measured, subject.conditions.device)
    return accelerated


def _identity(config: AccelerateConfig, checkpoint: TrainedCheckpoint, subject: Subject) -> dict[str, Any]:
    """What measurements are of."""
    file = checkpoint.path
    return {
        "model": sha256(file) if file.is_file() else str(file),
        "data": str(config.data),
        "images": subject.quality.num_images,
        "px": config.px,
        "runtime": config.runtime,
        "train": config.train,
        "seed": config.seed,
        "device": f"{subject.conditions.device} {subject.conditions.precision}",
    }


def _regained(
    config: AccelerateConfig,
    checkpoint: TrainedCheckpoint,
    quality: Quality,
    measured: Measured,
    budget: Budget,
    images: int,
    trying: Any,
) -> tuple[Row, Any]:
    """The setting that is chosen, with the content of its checkpoint: as it was, or trained with the setting."""

    def chosen(max_loss: float, *, trained: bool = False) -> Row:
        rows = [row for row in measured if not row.trained]
        return choose(rows, max_loss, quality.metric, where=config.data, images=images, trained=trained)

    folder = config.out / TRAINING
    for row in measured:  # of an earlier command
        if row.trained and row.points <= config.max_loss:
            return row, open_checkpoint(folder).content
    if not config.train or all(row.points > REGAINED * config.max_loss for row in measured):
        return chosen(config.max_loss), checkpoint.content
    row = chosen(REGAINED * config.max_loss)
    speed, before = row.known
    trying(f"training with {in_words(row.setting)}")
    settings = training_config(checkpoint)
    seconds = budget.left - 2 * images * quality.seconds_per_image
    steps = num_steps(settings, seconds, speed.ms / 1e3)
    shutil.rmtree(folder, ignore_errors=True)  # of one that was interrupted
    weights = write_tuned_run(folder, checkpoint.path, checkpoint.content, row.setting)
    machine = {"device": config.device, "precision": config.precision, "workers": config.workers}
    again = load_trained(train(settings, weights, folder / "run", steps=steps, **machine))
    after = quality.loss(row.setting, images, again.at(config.px))
    if after.points <= config.max_loss and (before.points > config.max_loss or after.points <= before.points):
        write_tuned_run(folder, checkpoint.path, again.content, row.setting)
        return measured.keep(row.setting, loss=after, trained=True), again.content
    say(f"after {steps} steps with {in_words(row.setting)} it loses {after.describe(quality.metric)}: not taken")
    return chosen(config.max_loss, trained=True), checkpoint.content


@contextmanager
def _progress(config: AccelerateConfig, budget: Budget) -> Iterator[Any]:
    """Shows what is tried and how much time is left."""
    with ProgressDisplay("accelerate, s", step=int(budget.spent), steps=int(budget.seconds)) as display:
        shown = [-LINE_S]

        def trying(text: str) -> None:
            if time.monotonic() - shown[0] >= LINE_S:
                shown[0] = time.monotonic()
                display.advance(min(int(budget.spent), int(budget.seconds)))
                display.show(int(budget.spent), text)

        yield trying
