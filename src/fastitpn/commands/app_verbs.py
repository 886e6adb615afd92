"""The verb `app` as a function, with the keys of the command line."""

import os
from typing import Any

from fastitpn.application.server import run_app
from fastitpn.config import AppConfig, build


def app(checkpoint: str | os.PathLike[str], **keys: Any) -> None:
    """Serve a page on which a trained model is tried on images, until Ctrl-C.

    Args:
        checkpoint: Checkpoint file or run directory of any task.
        **keys: As on the command line: `host`, `port`, `acceleration`, `px`, `device`, ...

    Raises:
        InputError: A key or the checkpoint is wrong, the address is taken, or `fastitpn[app]` is not installed.
    """
    run_app(build(AppConfig, {"checkpoint": checkpoint, **keys}))
