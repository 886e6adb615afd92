"""A file of weights into an encoder of timm, by name or by order."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fastitpn.errors import InputError
from fastitpn.models.weights.choice import named_tensors
from fastitpn.models.weights.reading import read_content

logger = logging.getLogger(__name__)

_COUNTER = "num_batches_tracked"
_CLASSIFIER_TENSORS = 2


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
    ours = encoder.state_dict()
    tensors = _of_encoder(ours, read_content(path).value)
    if not set(ours) <= set(tensors):
        tensors = _by_order(ours, tensors, path)
    wrong = [name for name in ours if tensors[name].shape != ours[name].shape]
    if wrong:
        raise InputError(
            f"{len(wrong)} of the teacher's tensors have another shape in the file",
            where=path,
            expected=f"{wrong[0]} of {list(ours[wrong[0]].shape)}, found {list(tensors[wrong[0]].shape)}",
            fix="teacher.weights=FILE with weights of the same model",
        )
    encoder.load_state_dict({name: tensors[name] for name in ours})


def _of_encoder(ours: Mapping[str, Tensor], content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors under the key, and after the prefix, where the file has most of the encoder's names."""
    groups = named_tensors(content) or {"": {}}
    first = next(iter(ours))
    choices = list(groups.values())
    for group in groups.values():
        for prefix in {name.removesuffix(first) for name in group if name.endswith(f".{first}")}:
            choices.append({name.removeprefix(prefix): t for name, t in group.items() if name.startswith(prefix)})
    return max(choices, key=lambda group: (len(group.keys() & ours.keys()), len(group)))


def _by_order(ours: Mapping[str, Tensor], tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Pair tensors by their order, if all shapes agree; counters of batches seen are not in every file."""
    mine = [n for n in ours if not n.endswith(_COUNTER)]
    theirs = [n for n in tensors if not n.endswith(_COUNTER)]
    paired = list(zip(mine, theirs, strict=False))
    alike = all(ours[a].shape == tensors[b].shape and _role(a) == _role(b) for a, b in paired)
    # A .safetensors file is sorted, so its order says nothing.
    if not alike or not 0 <= len(theirs) - len(mine) <= _CLASSIFIER_TENSORS or path.suffix == ".safetensors":
        raise InputError(
            "the teacher's weights do not fit: they have neither its names nor its shapes in their order",
            where=path,
            expected=f"{len(ours)} tensors, the first {mine[0]} of {list(ours[mine[0]].shape)}",
            fix="teacher.weights=FILE of this very model, or another teacher=timm:NAME",
        )
    logger.info("teacher: tensors of %s were paired by their order, since their names differ", path.name)
    counters = {n: torch.zeros_like(t) for n, t in ours.items() if n.endswith(_COUNTER)}
    return counters | {a: tensors[b] for a, b in paired}


def _role(name: str) -> str:
    """What a tensor of a norm is, since all of a norm's have the same shape; "" for names of other kinds."""
    last = name.rpartition(".")[2]
    return last if last in ("weight", "bias", "running_mean", "running_var") else ""
