"""The copy of a run whose checkpoint carries the setting that was chosen."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastitpn.models.acceleration.settings import Acceleration
from fastitpn.runs.checkpoint import BEST, save_checkpoint
from fastitpn.runs.output import make_folder
from fastitpn.runs.run import CHECKPOINTS, CONFIG, LOG, METRICS, RESULT

COPIED = (CONFIG, METRICS, RESULT, LOG)


def write_tuned_run(out: Path, source: Path, content: Mapping[str, Any], setting: Acceleration) -> Path:
    """Write the checkpoint with the setting as its own acceleration, and copy the files of its run, if it has one.

    Args:
        out: Folder of the copy.
        source: File of the checkpoint.
        content: All that it holds.
        setting: What was chosen.

    Returns:
        The checkpoint.
    """
    checkpoint = out / CHECKPOINTS / BEST
    make_folder(checkpoint.parent)
    save_checkpoint(checkpoint, {**content, "acceleration": setting.to_dict()})
    run = source.parent.parent if source.parent.name == CHECKPOINTS else None
    if run is not None and run.resolve() != out.resolve():
        for name in COPIED:
            if (run / name).is_file():
                shutil.copyfile(run / name, out / name)
    return checkpoint
