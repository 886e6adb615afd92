"""The keys of pre-training on pixels, which need no teacher: a masked autoencoder, as published for iTPN-pixel."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastitpn.config.types import Count
from fastitpn.pretraining.teachers.keys import Student, TeacherKeys, TeacherSpec

if TYPE_CHECKING:
    from fastitpn.pretraining.teachers.base import Teacher


@dataclass(frozen=True, kw_only=True)
class PixelKeys(TeacherKeys):
    """Teacher: pixel, the image itself; hidden patches are left out of trunk and pyramid, a decoder predicts them."""

    name: str = "pixel"
    decoder_dim: Count = 512
    """Channels of the decoder."""
    decoder_depth: Count = 8
    """Attention blocks of the decoder."""
    decoder_heads: Count = 16
    """Attention heads of each."""

    def problems(self) -> list[str]:
        """Checks the heads."""
        if self.decoder_dim % self.decoder_heads or self.decoder_dim % 16:
            return [f"decoder_dim: expected a multiple of 16 and of decoder_heads, got {self.decoder_dim}"]
        return []


def _build(keys: PixelKeys, student: Student) -> "Teacher":
    from fastitpn.pretraining.teachers.pixel_teacher import PixelTeacher

    return PixelTeacher(student.px)


TEACHER = TeacherSpec(keys=PixelKeys, build=_build, joins=False)
