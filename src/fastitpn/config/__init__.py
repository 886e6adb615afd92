"""Typed run configurations: loading, checking and explaining them. Imports nothing heavy, so that --help is quick."""

from fastitpn.config.explain import explain, usage
from fastitpn.config.fields import Config, Field, fields_of
from fastitpn.config.parse import build, parse
from fastitpn.config.pretrain import (
    CacheFeaturesConfig,
    DataShardConfig,
    ExportOfficialConfig,
    MaskConfig,
    PretrainConfig,
    TeacherConfig,
)
from fastitpn.config.recipe import to_command, to_dict, to_yaml
from fastitpn.config.runs import (
    BenchmarkConfig,
    ClassifyConfig,
    DemoConfig,
    EvaluateConfig,
    InspectConfig,
    PredictConfig,
    RunConfig,
    VisualizeTokensConfig,
)
from fastitpn.config.segment import SegmentConfig

__all__ = [
    "BenchmarkConfig",
    "CacheFeaturesConfig",
    "ClassifyConfig",
    "Config",
    "DataShardConfig",
    "DemoConfig",
    "EvaluateConfig",
    "ExportOfficialConfig",
    "Field",
    "InspectConfig",
    "MaskConfig",
    "PredictConfig",
    "PretrainConfig",
    "RunConfig",
    "SegmentConfig",
    "TeacherConfig",
    "VisualizeTokensConfig",
    "build",
    "explain",
    "fields_of",
    "parse",
    "to_command",
    "to_dict",
    "to_yaml",
    "usage",
]
