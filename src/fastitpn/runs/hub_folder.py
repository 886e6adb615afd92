"""A whole trained model as a folder of plain files: JSON and safetensors, in place of a checkpoint.

`model.safetensors` has the backbone under the names of timm, which loads it from there too; `head.safetensors` has all
other tensors under their full names, and `fastitpn.json` what a checkpoint says beside them.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from fastitpn.errors import InputError
from fastitpn.files import write_text
from fastitpn.json_text import from_json
from fastitpn.models.weights.cache import sha256
from fastitpn.runs.checkpoint import FORMAT
from fastitpn.runs.exported_folder import what_a_checkpoint_says

SUMS = "sha256"
ABOUT, BACKBONE_FILE, HEAD_FILE = "fastitpn.json", "model.safetensors", "head.safetensors"
_PREFIX = "backbone."


def write_hub_folder(folder: Path, content: Mapping[str, Any], backbone: Collection[str]) -> None:
    """Write what a folder needs to be loaded as a checkpoint.

    Args:
        folder: An existing folder.
        content: All that a checkpoint of a task holds.
        backbone: Names, without a prefix, of the tensors that timm takes.
    """
    weights: Mapping[str, Tensor] = content["weights"]
    prefix = _PREFIX if any(name.startswith(_PREFIX) for name in weights) else ""
    names = {name.removeprefix(prefix): name for name in weights if name.startswith(prefix)}
    for_timm = {name: weights[full] for name, full in names.items() if name in backbone}
    rest = {full: tensor for full, tensor in weights.items() if full.removeprefix(prefix) not in for_timm}
    # Copies: safetensors refuses tensors that share their memory.
    save_file({name: tensor.clone() for name, tensor in for_timm.items()}, folder / BACKBONE_FILE, {"format": "pt"})
    if rest:
        save_file({name: tensor.clone() for name, tensor in rest.items()}, folder / HEAD_FILE, {"format": "pt"})
    files = {name: sha256(folder / name) for name in (BACKBONE_FILE, HEAD_FILE) if (folder / name).is_file()}
    about = {**what_a_checkpoint_says(content), "format": FORMAT, "prefix": prefix, SUMS: files}
    text = json.dumps(about, indent=1, ensure_ascii=False)
    write_text(folder / ABOUT, text + "\n")


def is_hub_folder(folder: Path) -> bool:
    """Whether a folder has all of a trained model."""
    return (folder / ABOUT).is_file()


def read_hub_folder(folder: Path) -> dict[str, Any]:
    """The content of a checkpoint, as `write_hub_folder` got it, without what resumes a training.

    Raises:
        InputError: A file is absent or damaged.
    """
    try:
        content = from_json((folder / ABOUT).read_text(encoding="utf-8"))
        prefix, sums = content.pop("prefix"), content.pop(SUMS, {})
        for name, expected in dict(sums).items():
            if sha256(folder / Path(name).name) != expected:
                raise ValueError(f"{name} is not what was written: its checksum is another than in {ABOUT}")
        weights = {prefix + name: tensor for name, tensor in load_file(folder / BACKBONE_FILE).items()}
        if (folder / HEAD_FILE).is_file():
            weights |= load_file(folder / HEAD_FILE)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise InputError(
            f"a file of this model is absent or damaged: {type(error).__name__}: {error}",
            where=folder,
            expected=f"{ABOUT}, {BACKBONE_FILE} and {HEAD_FILE}, as fastitpn export format=hub writes them",
            fix="copy or export it again",
        ) from error
    if content.get("format") != FORMAT:
        raise InputError("this model is of another version of fastitpn", where=folder, expected=f"the format {FORMAT}")
    return {**content, "weights": weights}
