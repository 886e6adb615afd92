"""Teachers: what gives the features that the student predicts, one vector per 16x16 patch of the student."""

import copy
import difflib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.data import resolve_model_data_config
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.backbone import FastITPN
from fastitpn.models.cells import PATCH
from fastitpn.models.weights_file import read_content

logger = logging.getLogger(__name__)

CPU_CHUNK = 8
"""Images that a fixed teacher takes at a time on a CPU: their activations stay in its cache (3 to 4 times as fast)."""
_COUNTER = "num_batches_tracked"
_CLASSIFIER_TENSORS = 2
AVERAGED_BLOCKS = 3
"""Blocks whose outputs the moving-average teacher averages: one block alone tends to collapse."""


class Teacher(nn.Module):
    """Frozen; gives [B, N, dim] on the student's grid, layer-normalised without weights over the features.

    Attributes:
        dim: Width of a target.
        px: Side of the teacher's input.
        mean: Normalisation of the teacher's input, per channel.
        std: The same.
        standardise: Standardise each feature over the patches of the batch first. What all patches have in common,
            which dominates the features of CNNs, is then no part of the target.
    """

    dim: int
    px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    standardise: bool = False

    def features(self, images: Tensor) -> Tensor:
        """Features before normalisation, [B, N, dim]."""
        raise NotImplementedError

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Targets for images of the teacher's size, [B, N, dim] in float32."""
        features = self.features(images).float()
        if self.standardise and features[..., 0].numel() > 1:
            features = (features - features.mean((0, 1))) / (features.std((0, 1)) + 1e-6)
        return F.layer_norm(features, features.shape[-1:])  # eps 1e-5, as published

    def begin(self, student: nn.Module) -> None:
        """Called when the student has its start weights; a fixed teacher stays as it is."""

    def follow(self, student: nn.Module, progress: float) -> None:
        """Called after each step; a fixed teacher stays as it is."""

    def train(self, mode: bool = True) -> "Teacher":
        """A teacher is always in evaluation mode."""
        return super().train(False)


class TimmTeacher(Teacher):
    """Any image encoder of timm: ViTs (CLIP, SigLIP, DINO, EVA) and CNNs.

    Its last feature map must have one vector per patch of the student, which the size of its input decides: a teacher
    of stride 14 sees 196 px where the student sees 224, a CNN of stride 32 sees 448.

    Args:
        name: timm's name of the model.
        grid: Patches per side of the student.
        weights: File with its weights; None takes timm's (a download, unless they are on this machine).
        px: Side of its input; None picks the one whose grid is the student's.

    Raises:
        InputError: No such model, a grid that does not fit, or weights that do not.
    """

    def __init__(self, name: str, *, grid: int, weights: Path | None = None, px: int | None = None):
        super().__init__()
        if not timm.is_model(name):
            near = difflib.get_close_matches(name, timm.list_models(), n=1)
            raise InputError(
                f"timm has no model {name!r}",
                where="teacher",
                expected="a name from timm.list_models()",
                fix=f"teacher=timm:{near[0]}" if near else "teacher=ema",
            )
        encoder = _create_encoder(name, weights)
        stride = int(encoder.feature_info[-1]["reduction"])  # type: ignore[index]
        self.px = grid * stride if px is None else px
        if self.px % stride or self.px // stride != grid:
            raise InputError(
                f"the teacher's grid does not fit: at {self.px} px it has {self.px / stride:g} patches a side, the "
                f"student has {grid}",
                where="teacher.px",
                expected=f"{grid * stride} px (stride {stride})",
                fix=f"teacher.px={grid * stride}, or leave teacher.px out",
            )
        data = resolve_model_data_config(encoder)
        self.mean, self.std = data["mean"], data["std"]
        self.encoder = encoder.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.grid = grid
        self.dim = self._try_out(native_px=data["input_size"][-1], stride=stride)

    def _try_out(self, *, native_px: int, stride: int) -> int:
        """Sets the size of the input and returns the width of the features."""
        try:
            if hasattr(self.encoder, "set_input_size"):
                self.encoder.set_input_size(img_size=(self.px, self.px))
            with torch.inference_mode():
                return self.features(torch.zeros(1, 3, self.px, self.px)).shape[-1]
        except InputError:
            raise
        except Exception as error:  # of encoders whose size is fixed, or whose features are no map; each fails its way
            raise InputError(
                f"the teacher does not run at {self.px} px: {' '.join(str(error).split())}",
                where="teacher",
                expected=f"an encoder that takes this size; its own is {native_px} px",
                fix=f"px={native_px // stride * PATCH}, or another teacher=timm:NAME",
            ) from error

    def features(self, images: Tensor) -> Tensor:
        """Last feature map without class tokens, [B, N, dim]."""
        images = images.contiguous(memory_format=torch.channels_last)
        if images.device.type == "cpu" and len(images) > CPU_CHUNK:
            return torch.cat([self._tokens(chunk) for chunk in images.split(CPU_CHUNK)])
        return self._tokens(images)

    def _tokens(self, images: Tensor) -> Tensor:
        x = self.encoder.forward_features(images)
        if x.ndim == 3:
            x = x[:, getattr(self.encoder, "num_prefix_tokens", 0) :]
        elif getattr(self.encoder, "output_fmt", "NCHW") == "NHWC":
            x = x.flatten(1, 2)
        else:
            x = x.flatten(2).transpose(1, 2)
        if x.shape[1] != self.grid**2:
            raise InputError(
                f"the teacher gives {x.shape[1]} features an image, the student has {self.grid**2} patches",
                where="teacher",
                expected=f"a {self.grid}x{self.grid} grid",
                fix="another teacher, or another teacher.px",
            )
        return x


class EmaTeacher(Teacher):
    """A moving average of the student's trunk: needs no download and no labels.

    Targets are the mean of its last blocks' normalised outputs, less what is the same at one place in all images of
    the batch (which a student could predict without looking).

    Args:
        student: The student's backbone.
        px: Side of the student's input.
        mean: The student's normalisation.
        std: The same.
        momentum: Share of the average that one step keeps, at the first and at the last step.
    """

    def __init__(
        self,
        student: FastITPN,
        *,
        px: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        momentum: tuple[float, float] = (0.996, 0.9998),
    ):
        super().__init__()
        self.px, self.mean, self.std, self.momentum = px, mean, std, momentum
        pyramid, student.pyramid = student.pyramid, None  # targets come from the trunk: the copy needs no pyramid
        self.trunk = copy.deepcopy(student).eval().requires_grad_(False)
        student.pyramid = pyramid
        self.dim = self.trunk.embed_dim

    def features(self, images: Tensor) -> Tensor:
        """Mean of the last blocks' normalised outputs, [B, N, dim]."""
        outputs: list[Tensor] = []

        def keep(module: nn.Module, arguments: Any, output: Tensor) -> None:
            outputs.append(F.layer_norm(output.float(), output.shape[-1:]))

        blocks = list(self.trunk.stages[2].blocks.children())
        hooks = [block.register_forward_hook(keep) for block in blocks[-AVERAGED_BLOCKS:]]
        try:
            self.trunk.encode(images)
        finally:
            for hook in hooks:
                hook.remove()
        tokens = torch.stack(outputs).mean(0)
        return tokens - tokens.mean(0, keepdim=True) if len(tokens) > 1 else tokens

    def begin(self, student: nn.Module) -> None:
        """Become the student."""
        self._move(student, 1.0)

    def follow(self, student: nn.Module, progress: float) -> None:
        """Move towards the student; the momentum rises linearly with the run."""
        first, last = self.momentum
        self._move(student, 1 - (first + (last - first) * progress))

    @torch.no_grad()
    def _move(self, student: nn.Module, share: float) -> None:
        own = dict(student.backbone.named_parameters())
        for name, average in self.trunk.named_parameters():
            average.lerp_(own[name], share)


def create_teacher(
    name: str,
    *,
    student: FastITPN,
    px: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    weights: Path | None = None,
    teacher_px: int | None = None,
    momentum: tuple[float, float] = (0.996, 0.9998),
    standardise: bool = False,
) -> Teacher:
    """The teacher of a configuration: "ema" or "timm:NAME".

    Raises:
        InputError: Unknown teacher, or one that does not fit the student.
    """
    if name == "ema":
        if weights is not None or teacher_px not in (None, px):
            key = "teacher.weights" if weights is not None else "teacher.px"
            raise InputError(
                "the moving-average teacher is the student itself: it has no weights and no input size of its own",
                where=key,
                fix=f"leave {key} out, or choose teacher=timm:NAME",
            )
        teacher: Teacher = EmaTeacher(student, px=px, mean=mean, std=std, momentum=momentum)
        teacher.standardise = standardise
        return teacher
    if name.startswith("timm:"):
        teacher = TimmTeacher(name.removeprefix("timm:"), grid=px // PATCH, weights=weights, px=teacher_px)
        teacher.standardise = standardise
        return teacher
    raise InputError(
        f"unknown teacher {name!r}",
        where="teacher",
        expected="ema, or timm:NAME (any image encoder of timm)",
        fix=f"teacher=timm:{name}" if timm.is_model(name) else "teacher=ema",
    )


def _create_encoder(name: str, weights: Path | None) -> nn.Module:
    if weights is not None:
        encoder = timm.create_model(name, pretrained=False, num_classes=0)
        load_encoder_weights(encoder, weights)
        return encoder
    try:
        return timm.create_model(name, pretrained=True, num_classes=0)
    except (RuntimeError, OSError) as error:
        raise InputError(
            f"the teacher's weights cannot be fetched: {str(error).splitlines()[0]}",
            where=f"teacher=timm:{name}",
            expected="weights that timm knows and can download, or a file",
            fix="teacher.weights=FILE",
        ) from error


def load_encoder_weights(encoder: nn.Module, path: Path) -> None:
    """Load a file into a teacher: by name, or in order where another library named the same layers otherwise.

    The classifier's tensors are left out; every parameter of the encoder must be filled.

    Raises:
        InputError: The file cannot be read or does not fit.
    """
    if not path.is_file():
        raise InputError(
            "there is no such file of the teacher's weights",
            where=path,
            expected="tensors in a .pth, .pt or .safetensors file",
            fix="teacher.weights=FILE",
        )
    content = read_content(path)
    for key in ("state_dict", "model"):
        if isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = {k: v for k, v in content.items() if isinstance(v, Tensor)}
    own = encoder.state_dict()
    if not set(own) <= set(tensors):
        tensors = _by_order(own, tensors, path)
    wrong = [name for name in own if tensors[name].shape != own[name].shape]
    if wrong:
        raise InputError(
            f"{len(wrong)} of the teacher's tensors have another shape in the file",
            where=path,
            expected=f"{wrong[0]} of {list(own[wrong[0]].shape)}, found {list(tensors[wrong[0]].shape)}",
            fix="teacher.weights=FILE with weights of the same model",
        )
    encoder.load_state_dict({name: tensors[name] for name in own})


def _by_order(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Pair tensors by their order, if all shapes agree; counters of batches seen are not in every file."""
    mine = [n for n in own if not n.endswith(_COUNTER)]
    theirs = [n for n in tensors if not n.endswith(_COUNTER)]
    paired = list(zip(mine, theirs, strict=False))
    alike = all(own[a].shape == tensors[b].shape and _role(a) == _role(b) for a, b in paired)
    # A .safetensors file is sorted, so its order says nothing.
    if not alike or not 0 <= len(theirs) - len(mine) <= _CLASSIFIER_TENSORS or path.suffix == ".safetensors":
        raise InputError(
            "the teacher's weights do not fit: they have neither its names nor its shapes in their order",
            where=path,
            expected=f"{len(own)} tensors, the first {mine[0]} of {list(own[mine[0]].shape)}",
            fix="teacher.weights=FILE of this very model, or another teacher=timm:NAME",
        )
    logger.info("teacher: tensors of %s were paired by their order, since their names differ", path.name)
    return {n: torch.zeros_like(t) for n, t in own.items() if n.endswith(_COUNTER)} | {a: tensors[b] for a, b in paired}


def _role(name: str) -> str:
    """What a tensor of a norm is, since all of a norm's have the same shape; "" for names of other kinds."""
    last = name.rpartition(".")[2]
    return last if last in ("weight", "bias", "running_mean", "running_var") else ""
