"""Teachers from timm: ViTs and CNNs, with their own input size, stride and normalisation."""

import difflib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.layers.cells import PATCH
from fastitpn.models.weights.loading import load_weights
from fastitpn.pretraining.teachers.base import Teacher
from fastitpn.pretraining.teachers.encoder_weights import load_encoder_weights

logger = logging.getLogger(__name__)

CPU_CHUNK = 16
"""Images that a teacher takes at a time on a CPU: activations stay in its cache, and oneDNN's fastest layout fits."""


class TimmTeacher(Teacher):
    """Any image encoder of timm: ViTs (CLIP, SigLIP, DINO, EVA) and CNNs.

    Its last feature map must have one vector per patch of the student, which the size of its input decides: a teacher
    of stride 14 sees 196 px where the student sees 224, a CNN of stride 32 sees 448. With `upsample` it sees its input
    so many times enlarged, and has so many features per side of a patch: finer targets for the pyramid.

    Args:
        name: timm's name of the model.
        grid: Patches per side of the student; None takes what the size of the input gives.
        weights: File with its weights; None takes timm's (a download, unless they are on this machine).
        px: Side of its input; None picks the one whose grid fits the student's, or without a student the encoder's own.
        upsample: Features per side of a patch of the student: 1, 2 or 4.
        projection: Apply the encoder's projection (of CLIP: to the space shared with text) to every feature.

    Raises:
        InputError: No such model, a grid that does not fit, weights that do not, or no projection.
    """

    def __init__(
        self,
        name: str,
        *,
        grid: int | None,
        weights: Path | None = None,
        px: int | None = None,
        upsample: int = 1,
        projection: bool = False,
    ):
        super().__init__()
        if not timm.is_model(name):
            near = difflib.get_close_matches(name, timm.list_models(), n=1)
            raise InputError(
                f"timm has no model {name!r}",
                where="teacher",
                expected="a name from timm.list_models()",
                fix=f"teacher=timm:{near[0]}" if near else "teacher=ema",
            )
        if projection and "clip" not in name:
            raise InputError(
                f"{name} has no projection",
                where="teacher.projection",
                expected="false, or an image tower of CLIP, such as vit_base_patch16_clip_224.openai",
                fix="leave teacher.projection out",
            )
        self.upsample = upsample
        encoder = _create_encoder(name, weights, with_head=projection)
        self.projection = encoder.get_classifier() if projection else nn.Identity()
        stride = int(encoder.feature_info[-1]["reduction"])
        data = resolve_model_data_config(encoder)
        if grid is None:
            px = data["input_size"][-1] if px is None else px
            grid = px // stride
        grid *= upsample
        self.px = grid * stride if px is None else px
        if self.px % stride or self.px // stride != grid:
            raise InputError(
                f"the teacher's grid does not fit: at {self.px} px it has {self.px / stride:g} patches a side, the "
                f"student has {grid // upsample}" + (f", {upsample} times enlarged" if upsample > 1 else ""),
                where="teacher.px",
                expected=f"{grid * stride} px (stride {stride})",
                fix=f"teacher.px={grid * stride}, or leave teacher.px out",
            )
        self.mean, self.std = data["mean"], data["std"]
        self.encoder: Any = encoder.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.grid = grid
        self.dim = self._try_out(native_px=data["input_size"][-1], stride=stride)

    def _try_out(self, *, native_px: int, stride: int) -> int:
        """Sets the size of the input and returns the width of the features."""
        try:
            if hasattr(self.encoder, "set_input_size"):
                self.encoder.set_input_size(img_size=(self.px, self.px))
            with torch.inference_mode():
                [images] = _parts(torch.zeros(1, 3, self.px, self.px))
                outputs = self.encoder.forward_features(images)
                dim = self._tokens(outputs).shape[-1]
                summary = self._summary(outputs) if hasattr(self.encoder, "forward_head") else outputs
                self.summary_dim = summary.shape[-1] if summary.ndim == 2 else None
                return dim
        except InputError:
            raise
        except Exception as error:  # of encoders whose size is fixed, or whose features are no map; each fails its way
            raise InputError(
                f"the teacher does not run at {self.px} px: {' '.join(str(error).split())}",
                where="teacher",
                expected=f"an encoder that takes this size; its own is {native_px} px",
                fix=f"px={native_px // stride // self.upsample * PATCH}, or another teacher=timm:NAME",
            ) from error

    def features(self, images: Tensor) -> Tensor:
        """Last feature map without class tokens, [B, N * upsample^2, dim]."""
        return torch.cat([self._tokens(self.encoder.forward_features(part)) for part in _parts(images)])

    def features_and_summary(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Also what the encoder pools: its class token or a mean, projected where the features are."""
        outputs = [self.encoder.forward_features(part) for part in _parts(images)]
        return torch.cat([self._tokens(x) for x in outputs]), torch.cat([self._summary(x) for x in outputs])

    def _summary(self, x: Tensor) -> Tensor:
        projected = not isinstance(self.projection, nn.Identity)
        summary: Tensor = self.encoder.forward_head(x, pre_logits=not projected)
        return summary

    def _tokens(self, x: Tensor) -> Tensor:
        if x.ndim == 3:
            x = x[:, getattr(self.encoder, "num_prefix_tokens", 0) :]
        elif getattr(self.encoder, "output_fmt", "NCHW") == "NHWC":
            x = x.flatten(1, 2)
        else:
            x = x.flatten(2).transpose(1, 2)
        if x.shape[1] != self.grid**2:
            raise InputError(
                f"the teacher gives {x.shape[1]} features an image, where {self.grid**2} fit the student's patches",
                where="teacher",
                expected=f"a {self.grid}x{self.grid} grid",
                fix="another teacher, or another teacher.px",
            )
        projected: Tensor = self.projection(x)
        return projected


def _parts(images: Tensor) -> Sequence[Tensor]:
    images = images.contiguous(memory_format=torch.channels_last)
    return images.split(CPU_CHUNK) if images.device.type == "cpu" and len(images) > CPU_CHUNK else [images]


def _create_encoder(name: str, weights: Path | None, *, with_head: bool) -> Any:
    head: dict[str, Any] = {} if with_head else {"num_classes": 0}
    if weights is not None:
        encoder = timm.create_model(name, pretrained=False, **head)
        if isinstance(encoder, FastITPN):
            logger.info("teacher: %s", load_weights(encoder, weights))
        else:
            load_encoder_weights(encoder, weights)
        return encoder
    try:
        return timm.create_model(name, pretrained=True, **head)
    except (RuntimeError, OSError, InputError) as error:
        fix = str(error.fix) if isinstance(error, InputError) else ""  # for models of ours
        raise InputError(
            f"the teacher's weights cannot be fetched: {(str(error).splitlines() or [type(error).__name__])[0]}",
            where=f"teacher=timm:{name}",
            expected="weights that timm knows and can download, or a file",
            fix=f"{fix}, or teacher.weights=FILE" if fix.startswith("fastitpn ") else "teacher.weights=FILE",
        ) from error
