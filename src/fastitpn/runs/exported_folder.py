"""The folder of an export, which is a model too: a file for a runtime, and `model.json` with what is needed to use it.

`model.json` has checksums of the files, and under "trained" what a checkpoint says beside its weights.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastitpn.errors import InputError
from fastitpn.json_text import from_json
from fastitpn.listing import children
from fastitpn.models.weights.cache import sha256

DESCRIPTION = "model.json"
FORMAT = "fastitpn-export-1"
_STAYS = ("weights", "training", "config")
"""What of a checkpoint is not written down: settings have paths of the machine that trained it."""


def is_exported_folder(folder: Path) -> bool:
    """Whether a folder is one that `fastitpn export` wrote for a runtime."""
    return (folder / DESCRIPTION).is_file()


def what_a_checkpoint_says(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a checkpoint without its weights and without what resumes a training; plain types."""
    return {name: value for name, value in content.items() if name not in _STAYS}


def checksums(folder: Path, file: str) -> dict[str, Any]:
    """What `model.json` has to tell whether files are those that were exported.

    Args:
        folder: The folder, before anything but the files of the model is in it.
        file: Name of the main file.
    """
    others = {path.name: sha256(path) for path in sorted(children(folder)) if path.name != file}
    return {"sha256": sha256(folder / file), **({"more_files": others} if others else {})}


def read_exported_folder(folder: Path) -> dict[str, Any]:
    """The content of `model.json`, after the files were checked.

    Raises:
        InputError: It cannot be read, an earlier version wrote it, or a file is absent or another one by now.
    """
    again = "export it again: fastitpn export CHECKPOINT"
    try:
        about: dict[str, Any] = from_json((folder / DESCRIPTION).read_text(encoding="utf-8"))
        known = about["format"] == FORMAT
        files = {about["file"]: about.get("sha256"), **about.get("more_files", {})} if "file" in about else {}
        if not all(isinstance(name, str) for name in files):
            raise TypeError("a file without a name")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{DESCRIPTION} of this folder cannot be read: {type(error).__name__}: {error}",
            where=folder / DESCRIPTION,
            expected="what fastitpn export writes",
            fix=again,
        ) from error
    if not known or not {"sha256", "runtime", "trained", "file"} <= about.keys():
        raise InputError(
            "this folder was exported by another version of fastitpn, which wrote no checksum of its file",
            where=folder / DESCRIPTION,
            expected=f"the format {FORMAT} with sha256, runtime and trained",
            fix=again,
        )
    for name, expected in files.items():
        path = folder / Path(name).name
        if not path.is_file():
            raise InputError("a file of this export is missing", where=path, expected=name, fix=again)
        if sha256(path) != expected:
            raise InputError(
                "this file was changed after the export: its checksum is another than in model.json",
                where=path,
                expected=f"sha256 {expected}",
                fix=again,
            )
    return about
