"""`fastitpn export` for every task."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fastitpn.data.images.reading import reads_images, settle_range
from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.exportable import Exportable
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.exporting.subject import Subject, trained_subject, weights_subject
from fastitpn.models.backbone import FastITPN
from fastitpn.runs.trained_model import open_checkpoint
from fastitpn.tasks.classify.export import ClassifyExport
from fastitpn.tasks.loading import load_trained
from fastitpn.tasks.registry import TASKS
from fastitpn.tasks.spec import TaskSpec


@reads_images
def run_export(config: ExportConfig) -> Path:
    """Export a model; what differs from it is not kept.

    Returns:
        The folder.

    Raises:
        InputError: The checkpoint, a key or the folder is wrong.
        ParityError: The file cannot be made, or does not do what the model does.
    """
    form = FORMATS[config.format]
    form.check_installed(config.precision)
    return form.export(config, load_subject(config))


def load_subject(config: ExportConfig) -> Subject:
    """Build what a configuration asks for.

    Raises:
        InputError: The checkpoint cannot be read, or has no such part.
    """
    if any(config.choice.values()):
        return weights_subject(config, config.checkpoint, _classifier)
    try:
        checkpoint = open_checkpoint(config.checkpoint)
    except InputError:
        return weights_subject(config, config.checkpoint, _classifier)  # a published file; else it says what is wrong
    checkpoint.check_weights()
    spec: TaskSpec[Any, Any, Any] = TASKS.spec_of(checkpoint.task, checkpoint.path)
    if TASKS.keys_of(spec.name).predict is None:  # no head that could be exported
        subject = weights_subject(config, checkpoint.path, _classifier)
    else:
        trained = load_trained(checkpoint, config.acceleration)
        settle_range(config.image, (), trained.about.pixel_range)
        subject = trained_subject(config, trained, spec.exportable(trained))
    return replace(subject, measured=spec.metrics(checkpoint.describe(spec.description)))


def _classifier(model: FastITPN, mean: Sequence[float], std: Sequence[float]) -> Exportable:
    return ClassifyExport(model, mean=mean, std=std)
