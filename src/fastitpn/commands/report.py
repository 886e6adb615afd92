"""`fastitpn report`: runs side by side, and the report of a run that is training."""

import os
from pathlib import Path
from typing import Any

from fastitpn.application.config import LiveConfig
from fastitpn.commands.verb import Verb
from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.reporting.config import CompareConfig

COMPARE = Verb(
    config=CompareConfig,
    sentence="Compare runs on one page: metrics, curves, differing settings.",
    example="fastitpn report compare runs/flowers runs/flowers-balanced",
    run="fastitpn.tasks.run_comparison:run_compare",
)

LIVE = Verb(
    config=LiveConfig,
    sentence="Show the report of a run in the browser while it trains, only on this machine.",
    example="fastitpn report live runs/flowers",
    run="fastitpn.application.live:run_live",
)


def report(kind: str, *runs: str | os.PathLike[str], **keys: Any) -> Path:
    """Write a page about runs.

    Args:
        kind: "compare": metrics, curves and settings side by side.
        *runs: Two run directories or more; differences are to the first.
        **keys: As on the command line (`fastitpn report compare --help`): `names`, `out`.

    Returns:
        The page.

    Raises:
        InputError: There is no such kind, or a folder is no run.
    """
    if kind != "compare":
        raise InputError(f"no report {kind!r}", expected="compare", fix="report('compare', run, run)")
    page: Path = COMPARE(build(CompareConfig, {"runs": runs, **keys}))
    return page
