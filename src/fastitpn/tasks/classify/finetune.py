"""`fastitpn finetune classify`: from labelled images to a classifier."""

import logging

from torch import nn

from fastitpn.config import to_dict
from fastitpn.config.runs import ClassifyConfig
from fastitpn.data.datasets import ClassifyDataset
from fastitpn.data.images.folders import labelled_split
from fastitpn.data.images.readable import check_readable
from fastitpn.data.images.transforms import classify_train
from fastitpn.models.backbone import FastITPN
from fastitpn.models.registry import create_model
from fastitpn.runs.run import Run
from fastitpn.runs.run_directory import prepare
from fastitpn.tasks.classify.report import write_classify_report
from fastitpn.tasks.classify.task import ClassifyTask, MixSettings
from fastitpn.tasks.start import find_start
from fastitpn.training.loaders import cache_mib, evaluation_loader, on_device, training_loader
from fastitpn.training.loop import fit
from fastitpn.training.processes.devices import build_fabric
from fastitpn.training.processes.failure_propagation import ending_together
from fastitpn.training.setup import fit_settings, start_from, steps_between, total_steps

logger = logging.getLogger(__name__)


@ending_together
def run_classify(config: ClassifyConfig) -> Run:
    """Fine-tune a classifier, or continue an interrupted run of the same configuration.

    Raises:
        InputError: The data, the weights or the folder of the run do not fit.
    """
    train, val = labelled_split(config.data, config.val, val_ratio=config.val_ratio, seed=config.seed)
    check_readable([*train.paths, *val.paths])
    task = build_task(config, train.classes)
    px = task.description["px"]
    fabric = build_fabric(config.device, config.devices, config.nodes, config.precision, config.strategy)
    run = prepare(config.out, to_dict(config), verb="finetune classify", rank=fabric.global_rank)
    transform = classify_train(
        px,
        mean=config.mean,
        std=config.std,
        crop_scale=config.crop_scale,
        hflip=config.hflip,
        rand_augment=config.rand_augment,
        random_erasing=config.random_erasing,
    )
    dataset = ClassifyDataset(train, transform, seed=config.seed, cache_mib=cache_mib(config.workers))
    val_loader = evaluation_loader(val, px, config.mean, config.std, batch=config.batch, workers=config.workers)

    def evaluate(model: nn.Module) -> dict[str, float]:
        return task.evaluate(on_device(val_loader, fabric), model)

    steps = total_steps(config, len(train))
    settings = fit_settings(
        config,
        len(train),
        layer_decay=config.layer_decay,
        ema=config.ema,
        evaluate_every=steps_between(config.eval_every_epochs, config, len(train)),
        best_metric="top1",
    )
    if not run.complete:
        logger.info("%s images to train, %s to validate, %s classes", len(train), len(val), len(train.classes))
        loader = training_loader(dataset, config, fabric, steps)
        fit(task, fabric=fabric, settings=settings, make_loader=loader, evaluate=evaluate, run=run)
    if fabric.is_global_zero:
        write_classify_report(run, config, val, fabric)
        run.say_complete()
    return Run(config.out)


def build_task(config: ClassifyConfig, classes: list[str]) -> ClassifyTask:
    """The model of a configuration, with its start weights, as a task."""
    start = find_start(config)
    arguments = {**start.arguments, "num_classes": len(classes)}
    model: FastITPN = create_model(start.name, drop_path_rate=config.drop_path, **arguments)
    model.set_acceleration(start.acceleration)
    if start.file is not None:
        fix = "weights_strict=false to take what fits"
        start_from(model, start.file, name=start.name, fix=fix, strict=config.weights_strict)
        before = start.file.checkpoint.get("classes")
        if before is not None and before != classes and len(before) == len(classes):  # of as many, but other classes
            model.reset_classifier(len(classes))
            print("the head of those weights is for other classes: it starts fresh", flush=True)
    description = {
        "model": {"name": start.name, "arguments": arguments},
        "classes": classes,
        "normalisation": {"mean": list(config.mean), "std": list(config.std)},
        "px": start.px,
    }
    mix = MixSettings(
        mixup=config.mixup,
        cutmix=config.cutmix,
        switch=config.mixup_switch,
        label_smoothing=config.label_smoothing,
    )
    return ClassifyTask(model, description, mix)
