"""`fastitpn app`: a page on which a model is tried."""

import os
from typing import Any

from fastitpn.application.config import AppConfig
from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.console import printing

VERB = Verb(
    config=AppConfig,
    sentence="Try a model on a local page: its predictions, the tokens that leave, its speed.",
    example="fastitpn app runs/classify",
    run="fastitpn.application.server:run_app",
)


def app(checkpoint: str | os.PathLike[str], **keys: Any) -> None:
    """Serve a page on which a trained model is tried on images, until Ctrl-C.

    Args:
        checkpoint: Checkpoint file or run directory of any task.
        **keys: As on the command line: `host`, `port`, `acceleration`, `px`, `device`, ...

    Raises:
        InputError: A key or the checkpoint is wrong, the address is taken, or `fastitpn[app]` is not installed.
    """
    with printing():  # where the page is must be said
        VERB(build(AppConfig, {"checkpoint": checkpoint, **keys}))
