"""Typed run configurations: loading, checking and explaining them. Imports nothing heavy, so that --help is quick."""

from fastitpn.config.explain import explain, usage
from fastitpn.config.fields import Config, Field, fields_of
from fastitpn.config.parse import build, parse
from fastitpn.config.recipe import to_dict, to_yaml
from fastitpn.config.runs import (
    ClassifyConfig,
    DemoConfig,
    EvaluateConfig,
    InspectConfig,
    MaskConfig,
    PredictConfig,
    PretrainConfig,
    RunConfig,
    TeacherConfig,
)

__all__ = [
    "ClassifyConfig",
    "Config",
    "DemoConfig",
    "EvaluateConfig",
    "Field",
    "InspectConfig",
    "MaskConfig",
    "PredictConfig",
    "PretrainConfig",
    "RunConfig",
    "TeacherConfig",
    "build",
    "explain",
    "fields_of",
    "parse",
    "to_dict",
    "to_yaml",
    "usage",
]
