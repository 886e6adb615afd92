"""The probe that a pre-training runs now and then on a few labelled images."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from fastitpn.data.classification.labelled import labelled_split
from fastitpn.data.images.readable import check_readable
from fastitpn.models.backbone import FastITPN
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.knn_probe import knn_accuracy, pooled_features
from fastitpn.training.loaders import evaluation_loader, on_device
from fastitpn.training.metric import PERCENT, Metric
from fastitpn.training.progress import followed

if TYPE_CHECKING:
    from lightning_fabric import Fabric

KNN = Metric(name="knn_top1", title="Nearest-neighbour accuracy", unit=PERCENT)


def build_probe(config: PretrainConfig, fabric: "Fabric") -> Callable[[nn.Module], dict[str, float]] | None:
    """A function that probes the student; None if no labelled images are given.

    Nothing that it does reaches the training: it draws no random numbers and changes no weights.

    Raises:
        InputError: The labelled images do not fit.
    """
    probe = config.probe
    if probe.data is None:
        return None
    train, val = labelled_split(probe.data, val_ratio=probe.val_ratio)
    check_readable([*train.paths, *val.paths])
    loaders = [
        evaluation_loader(
            part, probe.px or config.model_px, config.mean, config.std, batch=config.batch, workers=config.workers
        )
        for part in (train, val)
    ]

    def run(model: nn.Module) -> dict[str, float]:
        pooled = [
            pooled_features(_backbone(model), on_device(followed(loader, "probing"), fabric)) for loader in loaders
        ]
        accuracy = knn_accuracy(*pooled, neighbours=probe.neighbours, num_classes=len(train.classes))
        return {KNN.name: 100 * accuracy}

    return run


def probe_files(config: PretrainConfig) -> list[Path]:
    """The labelled images; none if none are given."""
    if config.probe.data is None:
        return []
    train, val = labelled_split(config.probe.data, val_ratio=config.probe.val_ratio)
    return [*train.paths, *val.paths]


def _backbone(model: nn.Module) -> FastITPN:
    backbone = model.backbone
    assert isinstance(backbone, FastITPN)
    return backbone
