"""Teachers by the name before the colon of `teacher=NAME:...`."""

from typing import Any

from fastitpn.registry import Registry

TEACHERS: Registry[Any] = Registry(
    "teacher",
    {
        "ema": "fastitpn.pretraining.teachers.ema:TEACHER",
        "timm": "fastitpn.pretraining.teachers.timm_encoder:TEACHER",
        "features": "fastitpn.pretraining.teachers.stored:TEACHER",
    },
    forms={"timm": "timm:NAME (any image encoder of timm)", "features": "features:FOLDER (of pretrain cache-features)"},
)
"""Members are `TeacherSpec`."""
