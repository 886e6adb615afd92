"""What this package wrote - runs, checkpoints, exports, stored features - against its checksums."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

from fastitpn.console import say
from fastitpn.data.feature_shards import FORMAT as FEATURES
from fastitpn.data.feature_shards import INDEX, read_index, shard_path
from fastitpn.diagnosis.findings import Finding
from fastitpn.errors import InputError
from fastitpn.files import write_text
from fastitpn.json_text import from_json
from fastitpn.listing import matching
from fastitpn.reporting.sections import Table
from fastitpn.reporting.tables import print_table
from fastitpn.runs import identity
from fastitpn.runs.checkpoint import BEST, LAST, load_checkpoint
from fastitpn.runs.exported_folder import DESCRIPTION, FORMAT, read_exported_folder
from fastitpn.runs.hub_folder import is_hub_folder, read_hub_folder
from fastitpn.runs.output import make_folder
from fastitpn.runs.run import CHECKPOINTS, CONFIG, METRICS, Run
from fastitpn.sums import SUMS, difference, read

DAMAGED = "damaged file"

State = tuple[Path, str | None, str]
"""A file, what is wrong with it (None if it is whole), and what to do about that."""


def form_of(path: Path) -> str | None:
    """What this package wrote there: "run", "checkpoint", "export", "folder for timm", "stored features"; else None."""
    if path.is_file():
        return "checkpoint" if path.suffix == ".ckpt" else None
    if (path / CONFIG).is_file() and (path / CHECKPOINTS).is_dir():
        return "run"
    if is_hub_folder(path):
        return "folder for timm"
    for file, words, form in ((DESCRIPTION, FORMAT, "export"), (INDEX, FEATURES, "stored features")):
        if (path / file).is_file() and words in (path / file).read_text(encoding="utf-8", errors="replace"):
            return form
    return None


def check_own_files(path: Path, form: str, out: Path, name: str) -> list[Finding]:
    """Read every file, print which are whole, and write `findings.jsonl` to a folder.

    Args:
        path: A file or folder.
        form: What `form_of` says of it.
        out: Folder for the findings.
        name: Name of their file.

    Returns:
        What is damaged.
    """
    states = list(_CHECKS[form](path))
    findings = [
        Finding(kind=DAMAGED, what=f"{what}; {fix}" if fix else what, files=(file,))
        for file, what, fix in states
        if what is not None
    ]
    make_folder(out)
    write_text(out / name, "".join(json.dumps(finding.to_json(), ensure_ascii=False) + "\n" for finding in findings))
    rows = [(_name(file, path), "whole" if what is None else f"damaged: {what}") for file, what, _ in states]
    print_table(Table(f"Files of this {form}", ("file", "state"), rows))
    for file, what, fix in states:
        if what is not None and fix:
            say(f"{_name(file, path)}: {fix}")
    if not findings:
        say("nothing is wrong")
    return findings


def _name(file: Path, path: Path) -> str:
    return str(file.relative_to(path)) if file != path else file.name


def _run(folder: Path) -> Iterator[State]:
    sums, run = read(folder), Run(folder)
    if sums is None:
        yield folder / SUMS, "it cannot be read", f"rm {folder / SUMS}: checkpoints hold their checksums"
    for name, entry in (sums or {}).items():
        yield folder / name, difference(folder / name, entry), _what_to_do(run, name)
    if METRICS not in (sums or {}) and (folder / METRICS).is_file():
        yield folder / METRICS, _damage_of_rows(folder / METRICS), _what_to_do(run, METRICS)
    checkpoints = matching(folder / CHECKPOINTS, "*.ckpt")
    states = [(path, _damage_of_checkpoint(folder, run, path)) for path in checkpoints]
    whole = [path for path, damage in states if damage is None]
    for path, damage in states:
        yield path, damage, _instead(folder, run, path, whole)


def _what_to_do(run: Run, name: str) -> str:
    if name == CONFIG:
        return f"put it back, or read its keys from a checkpoint: fastitpn inspect {_word(run.directory)}"
    if name == "report.html":
        return f"fastitpn evaluate {_word(run.directory)} writes another"
    if name == METRICS:
        return "the weights do not depend on it: rows that cannot be read are left out of curves"
    return "put it back; the checkpoints do not depend on it"


def _damage_of_rows(path: Path) -> str | None:
    lines = path.read_bytes().splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            from_json(line)
        except ValueError:
            return f"line {number} of {len(lines)} is no JSON"
    return None


def _damage_of_checkpoint(folder: Path, run: Run, path: Path) -> str | None:
    try:
        identity.check_same(folder, run.verb, path, load_checkpoint(path))
    except (InputError, OSError) as error:
        return getattr(error, "what", None) or str(error)
    return None


def _instead(folder: Path, run: Run, path: Path, whole: list[Path]) -> str:
    """What to type where a checkpoint is damaged."""
    resumable = [other for other in whole if other.name == LAST or other.name.startswith("previous")]
    if path.name == BEST:
        return f"use {resumable[0]}" if resumable else "train again"
    if not resumable:
        best = folder / CHECKPOINTS / BEST
        return f"train again, with weights={best}" if best in whole else "train again"
    if path.name == LAST and not run.complete:
        words = f"fastitpn {run.verb} recipe={_word(folder / CONFIG)} out={_word(folder)}"
        return f"{words} resumes from {resumable[0].name}"
    return f"use {resumable[0]}"


def _word(path: Path) -> str:
    return shlex.quote(str(path))


def _checkpoint(path: Path) -> Iterator[State]:
    try:
        load_checkpoint(path)
    except InputError as error:
        yield path, error.what, error.fix or "train again, or use another copy"
    else:
        yield path, None, ""


def _export(folder: Path) -> Iterator[State]:
    again = "fastitpn export CHECKPOINT makes it anew"
    about: dict[str, object] = {}
    try:
        about = from_json((folder / DESCRIPTION).read_text(encoding="utf-8"))
        read_exported_folder(folder)
    except (InputError, OSError, ValueError) as error:
        where = getattr(error, "where", None)
        yield Path(str(where or folder / DESCRIPTION)), getattr(error, "what", None) or str(error), again
        return
    for name in (DESCRIPTION, str(about["file"]), *dict(about.get("more_files") or {})):  # type: ignore[call-overload]
        yield folder / name, None, ""


def _hub(folder: Path) -> Iterator[State]:
    try:
        read_hub_folder(folder)
    except InputError as error:
        yield folder, error.what, error.fix or ""
        return
    for path in matching(folder, "*.json", "*.safetensors"):
        yield path, None, ""


def _features(folder: Path) -> Iterator[State]:
    index, sums = read_index(folder), read(folder)
    again = "rm it, and type the same fastitpn pretrain cache-features: it is stored anew"
    if sums is None:
        yield folder / SUMS, "it cannot be read", f"rm {folder / SUMS}"
    shards = [shard_path(folder, number).name for number in range(index.num_shards)]
    for name in dict.fromkeys((INDEX, *(sums or {}), *shards)):
        path = folder / name
        damage = difference(path, sums[name]) if sums and name in sums else None if path.is_file() else "it is missing"
        yield path, damage, again


_CHECKS = {
    "run": _run,
    "checkpoint": _checkpoint,
    "export": _export,
    "folder for timm": _hub,
    "stored features": _features,
}
