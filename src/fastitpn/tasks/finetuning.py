"""`fastitpn finetune` for every task: from labelled images to a trained network and a report."""

import logging
from dataclasses import replace
from typing import Any

from torch import nn

from fastitpn.console import note, say
from fastitpn.data.images.folders import left_out
from fastitpn.data.images.reading import reads_images, settle_range
from fastitpn.runs.loggers.opened import check_loggers
from fastitpn.runs.run import Run
from fastitpn.runs.run_directory import prepare
from fastitpn.tasks.auto_keys import with_device, with_fitting_batch, with_listed_batch, with_published_rate
from fastitpn.tasks.chosen_defaults import choose_defaults
from fastitpn.tasks.folds import run_folds
from fastitpn.tasks.keys import FinetuneConfig
from fastitpn.tasks.other_task import open_data
from fastitpn.tasks.progress_report import ProgressReport
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.run_report import write_run_report
from fastitpn.tasks.spec import TaskSpec
from fastitpn.training.early_stopping import check_patience
from fastitpn.training.loaders import on_device, training_loader
from fastitpn.training.loop import fit
from fastitpn.training.plan import describe_plan, faster_keys
from fastitpn.training.processes.devices import accelerator_of, build_fabric
from fastitpn.training.processes.failure_propagation import propagate_failures
from fastitpn.training.progress import followed
from fastitpn.training.schedule import MILESTONES
from fastitpn.training.setup import fit_settings, steps_between, total_steps

logger = logging.getLogger(__name__)


@propagate_failures
@reads_images
def run_finetune(config: FinetuneConfig) -> Run:
    """Fine-tune for a task, or continue an interrupted run of the same configuration.

    Args:
        config: Keys of the task's training; their command ends with the name of the task.

    Raises:
        InputError: The data, the weights or the folder of the run do not fit.
    """
    check_loggers(config.loggers)
    spec: TaskSpec[Any, Any, Any] = TASKS.spec(config._command.split()[-1])
    if config.folds is not None and config.fold is None:
        return run_folds(spec, config, run_finetune)
    split = open_data(spec, config)
    num_images = len(split.train)
    counts = f"{num_images} images to train, {len(split.val)} to validate, {split.num_classes} classes"
    say(counts)
    left = left_out(config.data, config.val).line()
    files = [path for part in (split.train, split.val) for path in spec.image_files(part)]
    pixel_range = settle_range(config.image, files)
    on_cpu = accelerator_of(config.device) == "cpu"
    config, find_batch = with_listed_batch(with_device(config))
    config, chosen = choose_defaults(config, spec.suited, num_images, on_cpu=on_cpu)
    if chosen:
        say(chosen)
    every = steps_between(config.eval_every_epochs, config, num_images)
    steps, epochs_between = total_steps(config, num_images), config.eval_every_epochs
    if futile := check_patience(config.patience, steps=steps, validate_every=every, eval_every_epochs=epochs_between):
        say(futile)
    task: Any = spec.build(config, split)
    task.about = replace(task.about, pixel_range=pixel_range)
    if config.freeze:
        task.freeze(config.freeze)
    if config.lora is not None:
        task.add_lora(config.lora)
    if config.freeze or config.lora is not None:
        learns, count = (sum(p.numel() for p in task.parameters() if all_of or p.requires_grad) for all_of in (0, 1))
        say(f"{learns:,} of {count:,} weights learn")
    fabric = build_fabric(config.device, config.devices, config.nodes, config.precision, config.strategy)
    spec.adapt(task, fabric)
    if find_batch:
        samples = spec.training_samples(config, split, task.about)
        config = with_fitting_batch(config, task, samples.dataset, samples.to_batch, fabric)
    rates, untrained = spec.published_rates(config), config.weights is None
    config = with_published_rate(config, task.about.model["name"], rates, untrained=untrained)
    labels = [path for part in (split.train, split.val) for path in spec.label_files(part)]
    with prepare(config.out, config, files=[*files, *labels], rank=fabric.global_rank) as run:
        samples = spec.training_samples(config, split, task.about)
        validation = spec.validation_batches(config, split, task.about)

        def evaluate(model: nn.Module) -> dict[str, float]:
            metrics: dict[str, float] = task.evaluate(on_device(followed(validation), fabric), model)
            return metrics

        model, px = task.about.model["name"], task.about.px
        settings = fit_settings(
            config,
            num_images,
            schedule=config.schedule,
            milestones=config.milestones or MILESTONES,
            layer_decay=config.layer_decay,
            ema=config.ema,
            evaluate_every=every,
            patience=config.patience,
            best_metric=task.metrics[0],
            metrics=task.metrics,
            faster=faster_keys(config, model=model, px=px),
        )
        if not run.complete:
            for line in (counts, *split.notes, *filter(None, (left, chosen))):
                logger.info(line)
            if fabric.is_global_zero:
                note(describe_plan(config, model=model, px=px, num_images=num_images, fabric=fabric))
            steps = total_steps(config, num_images)
            loader = training_loader(
                samples.dataset, config, fabric, steps, to_batch=samples.to_batch, kinds=samples.kinds
            )
            shown = spec.curves(task.about)
            run.refresh = ProgressReport(
                run, config, title=spec.title, steps=settings.steps, metrics=shown, device=fabric.device
            )
            fit(task, fabric=fabric, settings=settings, make_loader=loader, evaluate=evaluate, run=run)
        if fabric.is_global_zero and run.complete:
            write_run_report(spec, run, config, split.val, fabric, steps=settings.steps)
            run.say_complete()
    return Run(config.out)
