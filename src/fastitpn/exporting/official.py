"""`fastitpn export official`: weights under the names and in the layouts of the published code."""

from collections import Counter
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.files import replacing
from fastitpn.models.weights.file import read_weights
from fastitpn.models.weights.itpn_names import is_itpn
from fastitpn.models.weights.official_names import to_official_names
from fastitpn.runs.output import make_folder

OURS_ALONE = ("predictor_hidden.", "level_predictors.", "trunk_predictor.", "auxiliary.")
"""Parts of pre-training models that the published one does not have."""
SUFFIXES = (".pt", ".pth", ".safetensors")


def write_official(checkpoint: Path, out: Path, **choice: str | None) -> Path:
    """Write weights under the names of the published code.

    Args:
        checkpoint: Checkpoint file or run directory.
        out: The file to write: .pt, .pth or .safetensors.
        **choice: `key`, `prefix` and `blocks` of `read_weights`.

    Returns:
        The file: a .pt has the tensors under "model", as the published ones.

    Raises:
        InputError: The weights cannot be read, or the file not be written.
    """
    if out.suffix not in SUFFIXES:
        raise InputError(
            f"out is {out.name}", where="out", expected=f"a file ending in {', '.join(SUFFIXES)}", fix=f"out={out}.pt"
        )
    file = read_weights(checkpoint, **choice)
    tensors = dict(file.tensors)
    ours = tuple(name for name in OURS_ALONE if name != "auxiliary." or not is_itpn(tensors))
    left = [name for name in tensors if name.startswith(ours)]
    if any(name.startswith("predictor_hidden.") for name in left):  # a prediction is worth nothing without a part of it
        left += [name for name in tensors if name.startswith("predictor.")]
    official = to_official_names({name: value for name, value in tensors.items() if name not in left})
    contiguous: dict[str, Tensor] = {name: value.detach().cpu().contiguous() for name, value in official.items()}
    make_folder(out.parent)
    with replacing(out) as written:
        if out.suffix == ".safetensors":
            written.write(save(contiguous))
        else:
            torch.save({"model": contiguous}, written)
    line = f"{out}: {len(contiguous)} tensors under published names"
    if left:
        line += f"; {len(left)} left out that the published pre-training does not have: {', '.join(left[:2])}, ..."
    aside = [f"{count} not needed here: {reason}" for reason, count in Counter(file.parts.values()).items()]
    say("; ".join([line, *aside, *file.notes]))
    return out
