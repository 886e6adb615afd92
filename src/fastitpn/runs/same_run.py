"""Whether a run may go on with the settings and the data of today."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastitpn import sums
from fastitpn.config.fields import Config
from fastitpn.config.recipe import flatten, to_dict, to_yaml
from fastitpn.config.stored_settings import same_settings
from fastitpn.config.values import show
from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.files import write_text
from fastitpn.runs.data_files import DATA, DATA_KEYS, Listing, count_changed, read_listing, write_listing
from fastitpn.runs.data_files import differences as file_differences
from fastitpn.runs.run import CONFIG, RESULT, Run

IRRELEVANT = frozenset(
    {
        "out",
        "workers",
        "device",
        "devices",
        "nodes",
        "strategy",
        "log_every",
        "checkpoint_every",
        "keep_checkpoints",
        "compile",
        "grad_checkpointing",
        "tensorboard",
        "logger",
        "recipe",
        "max_minutes",
        "patience",
        "eval_every_epochs",
        "every_epochs",
    }
)
"""Keys that may change when a run is continued: they do not change what it computes."""
_RECORDED = ("patience", "eval_every_epochs", "probe.every_epochs")
"""Those of them that say what is kept and where the run ends: the new values are written down."""
_LENGTHS = ("epochs", "steps")
"""Keys that may grow where the learning rate does not depend on them."""
_SHARES = ("batch", "accumulate")
"""Keys that may change as long as a step has as many images over all devices."""
_UNRESOLVED = {"precision": "auto"}
"""What earlier versions wrote down instead of what it stands for."""
MAX_DIFFERENCES = 8


def relevant(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the dotted keys that change what a run computes."""
    return {key: value for key, value in settings.items() if not IRRELEVANT.intersection(key.split("."))}


def check_same(run: Run, config: Config, listing: Listing | None) -> None:
    """Make sure that a run goes on with its own settings and data; what may change is said and written down.

    Args:
        run: In the folder that a command is about to write to.
        config: Every key of that command, resolved.
        listing: The files of its data; None to compare the keys alone.

    Raises:
        InputError: It is another run.
    """
    here, now = same_settings(type(config), run.config), flatten(to_dict(config))
    unresolved = {key for key, word in _UNRESOLVED.items() if here.get(key) == word}
    keys = [key for key in relevant(here | now) if here.get(key) != now.get(key) and key not in unresolved]
    shared_out = [key for key in keys if key in _SHARES] if _images_of_step(here) == _images_of_step(now) else []
    keys = [key for key in keys if key not in shared_out]
    before = read_listing(run.directory)
    places = [key for key in keys if key in DATA_KEYS] if listing is not None and before is not None else []
    keys = [key for key in keys if key not in places]
    longer = [key for key in keys if key in _LENGTHS] if _is_longer(here, now) else []
    keys = [key for key in keys if key not in longer]
    differences = [f"{key}: {here.get(key)!r} there, {now.get(key)!r} now{_why_fixed(key, now)}" for key in keys]
    if run.verb and run.verb != config._command:
        differences.insert(0, f"command: {run.verb} there, {config._command} now")
    other_settings = bool(differences)
    if listing is not None and before is not None:
        differences += file_differences(before, listing)
    if differences:
        shown = differences[:MAX_DIFFERENCES]
        if len(differences) > len(shown):
            shown.append(f"and {len(differences) - len(shown)} more")
        raise InputError(
            f"the folder holds a run with other {'settings' if other_settings else 'data'}\n"
            + "\n".join(f"    {line}" for line in shown),
            where=run.directory,
            expected="a new folder, or the same settings and files to continue that run",
            fix=f"out={free_name(run.directory)}{_from_weights(run)}, or delete {run.directory}",
        )
    if listing is not None and before is not None and (replaced := count_changed(before, listing)):
        say(f"{replaced} of {len(listing)} files have another time of change (copied, or replaced by ones as large?)")
        write_listing(run.directory, listing)
        sums.record(run.directory, DATA)
    if shared_out:
        words = ", ".join(f"{key} was {here.get(key)} and is {now.get(key)}" for key in shared_out)
        say(f"a step has the same {_images_of_step(now)} images, and the run resumes: {words}")
    if places:
        words = ", ".join(f"{key} was {here.get(key)} and is {now.get(key)}" for key in places)
        say(f"the same {len(listing or ())} files are in another folder, and the run resumes with them: {words}")
    changed = longer + [key for key in _RECORDED if here.get(key) != now.get(key)]
    if changed:
        words = ", ".join(f"{key}={_typed(now.get(key))} (was {_typed(here.get(key))})" for key in changed)
        say(f"the run goes on with {words}")
    if run.complete and {*_LENGTHS, "patience"}.intersection(changed):
        (run.directory / RESULT).unlink()
        sums.record(run.directory, forget=(RESULT,))
    if places or shared_out or changed:
        write_text(run.directory / CONFIG, to_yaml(config))
        sums.record(run.directory, CONFIG)


def _is_longer(here: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether the length alone has grown, and no step before depends on it."""
    pairs = [(here.get(key), now.get(key)) for key in _LENGTHS]
    grows = all(before == after or (before and after and after > before) for before, after in pairs)
    return grows and here.get("schedule") == now.get("schedule") == "constant"


def _typed(value: Any) -> str:
    """A value as one would type it, without the `.0` of whole numbers."""
    return f"{value:g}" if isinstance(value, float) else show(value)


def _why_fixed(key: str, now: Mapping[str, Any]) -> str:
    """Why the length cannot change, behind the two values of such a key."""
    if key not in _LENGTHS or now.get("schedule") == "constant":
        return ""
    schedule = f"schedule={now.get('schedule', 'cosine')}"
    return f" ({schedule} spreads the learning rate over the whole run: only one with schedule=constant can grow)"


def _images_of_step(settings: Mapping[str, Any]) -> int | None:
    """Images of one step over all devices; None for settings without."""
    counts = [settings.get(key, 1) for key in (*_SHARES, "devices", "nodes")]
    return math.prod(counts) if "batch" in settings and all(type(count) is int for count in counts) else None


def _from_weights(run: Run) -> str:
    return f" (with weights={run.directory} it begins with those of this run)" if run.best_checkpoint else ""


def free_name(directory: Path) -> Path:
    """A folder beside another that is not there yet, named after it."""
    number = 2
    while (free := directory.with_name(f"{directory.name}-{number}")).exists():
        number += 1
    return free
