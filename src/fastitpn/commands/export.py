"""`fastitpn export`, and `fastitpn export official`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.formats.registry import FORMATS
from fastitpn.training.config import ChoiceConfig


@dataclass(frozen=True, kw_only=True)
class ExportOfficialConfig(ChoiceConfig):
    """Published names."""

    _command: ClassVar[str] = "export official"
    _positional: ClassVar[tuple[str, ...]] = ("checkpoint",)

    checkpoint: Path
    """Checkpoint file or run folder (its best checkpoint), or a file of weights, also as published:NAME."""
    out: Path = Path("runs/official.pt")
    """File to write: .pt or .safetensors."""


VERB = Verb(
    config=ExportConfig,
    sentence="Write a model for ONNX, PyTorch, timm or transformers, and compare the file with the model.",
    example="fastitpn export runs/classify format=onnx out=runs/onnx",
    run="fastitpn.tasks.exporting:run_export",
)
OFFICIAL = Verb(
    config=ExportOfficialConfig,
    sentence="Write weights with the published names, for software made for the published code.",
    example="fastitpn export official runs/pretrain out=fast_itpn.pt",
    run="fastitpn.commands.export:run_official",
)


def export(form: str, checkpoint: str | os.PathLike[str], **keys: Any) -> Path:
    """Write a trained or pre-trained model in another form.

    Args:
        form: "onnx", "torch_export" or "torchscript": a file that is compared with the model before it is kept, with
            its description. "hub": a folder for timm and transformers. "official": weights under the names of the
            published code.
        checkpoint: Checkpoint file or run directory.
        **keys: As on the command line (`fastitpn export --help`): `part`, `px`, `dynamic`, `precision`, `out`, ...

    Returns:
        The folder; for "official" the file.

    Raises:
        InputError: There is no such form, the weights cannot be read, or the file not be written.
        FastITPNError: The file would not do what the model does.
    """
    if form == "official":
        return run_official(build(ExportOfficialConfig, {"checkpoint": checkpoint, **keys}))
    if form not in FORMATS:
        raise InputError(
            f"no form {form!r}", expected=" or ".join((*FORMATS, "official")), fix="export('onnx', checkpoint)"
        )
    written: Path = VERB(build(ExportConfig, {"checkpoint": checkpoint, "format": form, **keys}))
    return written


def run_official(config: ExportOfficialConfig) -> Path:
    """Write the file of published names."""
    from fastitpn.exporting.official import write_official

    return write_official(config.checkpoint, config.out, **config.choice)
