"""Typed run configurations: loading, checking and explaining them. Imports nothing heavy, so that --help is quick."""

from fastitpn.config.app import AppConfig
from fastitpn.config.compare import CompareConfig
from fastitpn.config.convert import DataConvertConfig
from fastitpn.config.detect import DetectConfig
from fastitpn.config.doctor import DoctorConfig
from fastitpn.config.explain import explain, usage
from fastitpn.config.export import ExportConfig
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
)
from fastitpn.config.segment import SegmentConfig
from fastitpn.config.visualize import (
    VisualizeAttentionConfig,
    VisualizeConfig,
    VisualizeFeaturesConfig,
    VisualizeSimilarityConfig,
    VisualizeTokensConfig,
)

__all__ = [
    "AppConfig",
    "BenchmarkConfig",
    "CacheFeaturesConfig",
    "ClassifyConfig",
    "CompareConfig",
    "Config",
    "DataConvertConfig",
    "DataShardConfig",
    "DemoConfig",
    "DetectConfig",
    "DoctorConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ExportOfficialConfig",
    "Field",
    "InspectConfig",
    "MaskConfig",
    "PredictConfig",
    "PretrainConfig",
    "RunConfig",
    "SegmentConfig",
    "TeacherConfig",
    "VisualizeAttentionConfig",
    "VisualizeConfig",
    "VisualizeFeaturesConfig",
    "VisualizeSimilarityConfig",
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
