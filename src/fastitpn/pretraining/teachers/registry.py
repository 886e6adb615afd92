"""Teachers by the name before the colon of `teacher=NAME:...`; several are joined by +."""

import re
from typing import Any

from fastitpn.registry import Registry

SEVERAL = "several"


class Teachers(Registry[Any]):
    """Members are `TeacherSpec`."""

    def name_in(self, typed: str) -> str:
        """The kind of a teacher; of several that are joined by +, "several"."""
        return SEVERAL if len(self.apart(typed)) > 1 else super().name_in(typed)

    def apart(self, typed: str) -> list[str]:
        """`timm:A+features:B` to its teachers; a + inside of a name or a folder is none that joins."""
        names = "|".join(re.escape(name) for name in self if name != SEVERAL)
        return re.split(rf"\+(?=(?:{names})(?::|\+|$))", typed)


TEACHERS = Teachers(
    "teacher",
    {
        "ema": "fastitpn.pretraining.teachers.ema:TEACHER",
        "timm": "fastitpn.pretraining.teachers.timm_encoder:TEACHER",
        "features": "fastitpn.pretraining.teachers.stored:TEACHER",
        "pixel": "fastitpn.pretraining.teachers.pixel:TEACHER",
        SEVERAL: "fastitpn.pretraining.teachers.several:TEACHER",
    },
    forms={
        "timm": "timm:NAME (any image encoder of timm)",
        "features": "features:FOLDER (of pretrain cache-features)",
        SEVERAL: "several of these joined by + (timm:A+timm:B)",
    },
)
"""What gives the targets of a pre-training."""
