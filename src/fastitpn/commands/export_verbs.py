"""The verb `export` as a function, with the keys of the command line."""

import os
from pathlib import Path
from typing import Any

from fastitpn.config import ExportConfig, ExportOfficialConfig, build
from fastitpn.errors import InputError

OFFICIAL = "official"
FORMS = ("onnx", "torch_export", "torchscript", "hub")


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
    if form == OFFICIAL:
        from fastitpn.commands.export_official import run_export_official

        return run_export_official(build(ExportOfficialConfig, {"checkpoint": checkpoint, **keys}))
    if form not in FORMS:
        raise InputError(
            f"no form {form!r}", expected=" or ".join((*FORMS, OFFICIAL)), fix=f"export({FORMS[0]!r}, checkpoint)"
        )
    from fastitpn.exporting.export import run_export

    return run_export(build(ExportConfig, {"checkpoint": checkpoint, "format": form, **keys}))
