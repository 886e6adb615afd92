"""Pre-training: features of a teacher, predicted by trunk and pyramid."""

from typing import Any

from torch import nn

from fastitpn.diagnosis.config import DoctorConfig
from fastitpn.diagnosis.findings import DataSet
from fastitpn.models.backbone import FastITPN
from fastitpn.pretraining.model import create_pretraining_model
from fastitpn.pretraining.pixel_model import create_pixel_model
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.description import PretrainDescription
from fastitpn.tasks.pretrain.diagnosis import diagnose
from fastitpn.tasks.pretrain.probe import KNN
from fastitpn.tasks.spec import TaskSpec


class Pretrain(TaskSpec[PretrainConfig, Any, PretrainDescription]):  # type: ignore[type-var]  # it has no labels
    """Masked feature modelling."""

    name = "pretrain"
    noun = "pre-trained model"
    title = "Pre-training"
    particularity = -1
    all_metrics = (KNN,)
    description = PretrainDescription

    def create(self, about: PretrainDescription, **extra: Any) -> nn.Module:
        """Trunk, pyramid and what predicts."""
        arguments = {**about.model["arguments"], **extra}
        if "decoder_dim" in arguments:
            return create_pixel_model(about.model["name"], **arguments)
        return create_pretraining_model(about.model["name"], **arguments)

    def backbone(self, model: nn.Module) -> FastITPN:
        """Trunk and pyramid."""
        backbone: FastITPN = model.backbone  # type: ignore[assignment]
        return backbone

    def diagnose(self, config: DoctorConfig) -> DataSet | None:
        """What `fastitpn doctor` finds in data of this task."""
        return diagnose(config)


SPEC = Pretrain()
