"""What a set of Fast-iTPN weights is: names, sizes, and the arguments of its model, read off the tensors."""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.models.architecture import ARCHITECTURES
from fastitpn.models.weights.official_names import BACKBONE, from_official_names, is_official
from fastitpn.models.weights.reading import read_content

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
FORMAT = "fastitpn-1"
"""Value of "format" in our own checkpoints."""
_NESTING = ("module", "model", "state_dict")
_WRAPPERS = ("module.", "_orig_mod.", "model.", "encoder.body.")
_OURS = "give a published file of Fast-iTPN, or one that fastitpn wrote"
PRETRAINING_ONLY = (
    "mask_token",
    "merge16.",
    "merge8.",
    "merge4.",
    "predictor.",
    "predictor_hidden.",
    "level_predictors.",
    "trunk_predictor.",
    "auxiliary.",
)


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """A set of Fast-iTPN weights under our names, and what can be read off their shapes.

    Attributes:
        source: Where they came from, for messages.
        tensors: Name (ours) to tensor (our layout).
        origin: Name (ours) to the names in the file it was made of.
        kind: "pre-training", "classifier" or "trunk".
        model: `fastitpn_base`, ...; None for a size that has no name.
        depths: Blocks of the three stages.
        checkpoint: Everything else in one of our own checkpoints (task, classes, ...), else empty.
    """

    source: str
    tensors: Mapping[str, Tensor]
    origin: Mapping[str, tuple[str, ...]]
    kind: str
    model: str | None
    depths: tuple[int, int, int]
    checkpoint: Mapping[str, Any] = field(default_factory=dict)

    @functools.cached_property
    def has_backbone(self) -> bool:
        """Whether trunk and pyramid are a part of a larger network."""
        return any(names[0].startswith(BACKBONE) for names in self.origin.values())

    @property
    def embed_dim(self) -> int:
        """Channels of stage 3."""
        return self.tensors["stages.2.merge.reduction.weight"].shape[0]

    @property
    def in_chans(self) -> int:
        """Input channels."""
        return self.tensors["patch_embed.proj.weight"].shape[1]

    @property
    def num_tokens(self) -> int:
        """Patches of the position table, without a class token."""
        return self.tensors["pos_embed"].shape[1] - int("cls_token" in self.tensors)

    @property
    def px(self) -> int | None:
        """Side of the native (square) input; None if the table is not square."""
        side = round(self.num_tokens**0.5)
        return side * 16 if side * side == self.num_tokens else None

    @property
    def num_classes(self) -> int:
        """Classes of the head, 0 without one."""
        return self.tensors["head.weight"].shape[0] if "head.weight" in self.tensors else 0

    @property
    def teacher_dim(self) -> int | None:
        """Width of the pre-training prediction."""
        return self.tensors["predictor.weight"].shape[0] if "predictor.weight" in self.tensors else None

    @property
    def pyramid_dim(self) -> int | None:
        """Channels of the pyramid (published: fpn_dim); None without one."""
        weight = self.tensors.get("pyramid.output16.norm.weight")
        return None if weight is None else weight.shape[0]

    @property
    def pyramid_hidden(self) -> int | None:
        """Hidden width of the pyramid's blocks."""
        weight = self.tensors.get("pyramid.output16.mlp.fc1.weight")
        return None if weight is None else weight.shape[0]

    @property
    def pyramid_depth(self) -> int:
        """Refining blocks of each of its levels."""
        return _count(r"pyramid\.refine8\.(\d+)\.", self.tensors)

    @property
    def num_parameters(self) -> int:
        """Elements of all tensors."""
        return sum(t.numel() for t in self.tensors.values())

    def arguments(self) -> dict[str, Any]:
        """Arguments of `FastITPN` that build the trunk (and pyramid) these weights belong to."""
        block = "stages.2.blocks.0"
        has = self.tensors.__contains__
        arguments: dict[str, Any] = {"in_chans": self.in_chans}
        if self.px is not None:
            arguments["img_size"] = self.px
        if not has(f"{block}.gamma_1"):
            arguments["init_values"] = 0.0  # timm drops arguments that are None
        if has("cls_token"):
            arguments["class_token"] = True
        if not has(f"{block}.attn.q_bias"):
            arguments["qkv_bias"] = False
        if not has(f"{block}.mlp.norm.weight"):
            arguments["sub_norm"] = False
        if not has(f"{block}.mlp.gate.weight"):
            arguments["swiglu"] = False
        if self.kind == "classifier" and has("norm.weight"):
            arguments["fc_norm"] = False
        for kind, table in (("own", f"{block}.attn."), ("shared", ""), ("shared_decoupled", "")):
            if has(f"{table}rel_pos_bias.{'table_high' if kind == 'shared_decoupled' else 'table'}"):
                arguments["relative_position"] = kind
        if self.pyramid_dim is not None and self.pyramid_hidden is not None:
            arguments["pyramid"] = True
            arguments["pyramid_dim"] = self.pyramid_dim
            arguments["pyramid_depth"] = self.pyramid_depth
            arguments["pyramid_mlp_ratio"] = (self.pyramid_hidden + 0.5) / self.pyramid_dim
        return arguments


def read_weights(source: str | Path | Mapping[str, Any]) -> WeightsFile:
    """Read weights from a file, one of our run directories or a state dict.

    Args:
        source: .pt, .pth, .bin, .ckpt or .safetensors; a run directory; or a (nested) state dict.

    Returns:
        The weights under our names.

    Raises:
        InputError: No such file, not readable, refused because it wants to run code, or not Fast-iTPN weights.
    """
    if isinstance(source, (str, Path)):
        path = _locate(Path(source))
        content, name = read_content(path), str(path)
    else:
        content, name = source, "the given state dict"
    checkpoint: dict[str, Any] = {}
    if content.get("format") == FORMAT:
        checkpoint = {k: v for k, v in content.items() if k not in ("weights", "training")}
        content = content.get("weights") or {}
    state_dict = _state_dict(content, name)
    if is_official(state_dict):
        try:
            tensors, origin = from_official_names(state_dict)
        except InputError as error:
            raise InputError(error.what, where=name, expected=error.expected, fix=_OURS) from None
    else:
        tensors = {k.removeprefix(BACKBONE): t for k, t in state_dict.items()}
        origin = {k.removeprefix(BACKBONE): (k,) for k in state_dict}
    file = _describe(name, tensors, origin, checkpoint)
    _check_numbers(name, state_dict)
    return file


def _locate(path: Path) -> Path:
    if path.is_dir():
        for inside in ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "model.safetensors"):
            if (path / inside).is_file():
                return path / inside
        raise InputError(
            "this folder holds no weights",
            where=path,
            expected="a run directory (checkpoints/best.ckpt) or a weights file",
            fix="give a file, or a run that got as far as its first checkpoint",
        )
    if not path.is_file():
        raise InputError("no such weights file", where=path, expected="a file or a run directory", fix="check the path")
    return path


def _state_dict(content: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    for key in _NESTING:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)}
    if not tensors:
        present = f"found {', '.join(repr(key) for key in list(content)[:5])}" if content else "it is empty"
        raise InputError(
            "no tensors found",
            where=name,
            expected=f"a state dict, or one under {', '.join(map(repr, _NESTING))}; {present}",
        )
    while wrapper := next((w for w in _WRAPPERS if all(k.startswith(w) for k in tensors)), None):
        tensors = {k.removeprefix(wrapper): v for k, v in tensors.items()}
    return tensors


def _check_numbers(name: str, state_dict: Mapping[str, Tensor]) -> None:
    broken = [key for key, tensor in state_dict.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
        raise InputError(
            f"NaN or infinite numbers in {', '.join(broken[:3])}{more}",
            where=name,
            expected="finite weights",
            fix="take an earlier checkpoint: this training had diverged, or the file is damaged",
        )


def _describe(
    name: str, tensors: dict[str, Tensor], origin: dict[str, tuple[str, ...]], checkpoint: dict[str, Any]
) -> WeightsFile:
    wanted = ("patch_embed.proj.weight", "stages.2.merge.reduction.weight", "pos_embed")
    absent = [key for key in wanted if key not in tensors]
    if absent:
        examples = ", ".join(names[0] for names in list(origin.values())[:3])
        raise InputError(
            "these are not Fast-iTPN weights",
            where=name,
            expected=f"tensors such as {', '.join(absent)}; found {examples}, ...",
            fix=_OURS,
        )

    n1, n2, n3 = (_count(rf"stages\.{i}\.blocks\.(\d+)\.", tensors) for i in range(3))
    depths = (n1, n2, n3)
    embed_dim = tensors["stages.2.merge.reduction.weight"].shape[0]
    model = next((n for n, a in ARCHITECTURES.items() if (a.embed_dim, a.depths) == (embed_dim, depths)), None)
    if any(k.startswith(PRETRAINING_ONLY) for k in tensors):
        kind = "pre-training"
    else:
        kind = "classifier" if "head.weight" in tensors else "trunk"
    return WeightsFile(
        source=name, tensors=tensors, origin=origin, kind=kind, model=model, depths=depths, checkpoint=checkpoint
    )


def _count(pattern: str, tensors: Mapping[str, Tensor]) -> int:
    """Number of blocks: one more than the highest number that the pattern finds in a name."""
    return 1 + max((int(m[1]) for name in tensors if (m := re.match(pattern, name))), default=-1)
