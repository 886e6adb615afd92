"""A run directory, to write."""

import json
import logging
import shlex
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Self

import torch

from fastitpn import sums
from fastitpn.config.fields import Config
from fastitpn.config.recipe import flatten, to_dict, to_yaml
from fastitpn.console import say
from fastitpn.errors import InputError
from fastitpn.files import append_line, write_text
from fastitpn.listing import children
from fastitpn.runs import identity
from fastitpn.runs.checkpoint import BEST, LAST, PREVIOUS, latest_valid, make_room, save_checkpoint
from fastitpn.runs.data_files import DATA, Listing, list_files, write_listing
from fastitpn.runs.lock import RunLock
from fastitpn.runs.loggers.opened import Loggers
from fastitpn.runs.metrics_log import append_row, drop_rows_after, read_rows
from fastitpn.runs.run import CHECKPOINTS, CONFIG, LOG, METRICS, REPORT, RESULT, Run
from fastitpn.runs.same_run import check_same, free_name, relevant

SUMMED = (CONFIG, DATA, identity.FILE, METRICS, RESULT, REPORT)
"""Files whose sums are written down; checkpoints have theirs inside."""

logger = logging.getLogger("fastitpn")


class RunDirectory(Run):
    """A run directory that the first process of a run writes; for the others its methods do nothing.

    Args:
        directory: With its settings written.
        rank: Number of this process in the run, from 0.
    """

    def __init__(self, directory: str | PathLike[str], *, rank: int = 0):
        super().__init__(directory)
        self.is_writer = rank == 0
        self.loggers: Loggers | None = None
        self.refresh: Callable[[int], None] | None = None
        """Called after each evaluation, with its step."""
        self._rows_before: list[dict[str, Any]] = []
        self.keep_checkpoints = 2
        """Checkpoints to resume from that are kept, the last one counted."""
        self.lock: RunLock | None = None
        self.marks = {identity.KEY: there} if (there := identity.read(self.directory)) else {}
        """What every checkpoint says of the run that it is of."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Write down the sums of its files, if all went well, and let other processes write into it."""
        if self.is_writer and kind is None:
            sums.record(self.directory, *SUMMED)
        if self.loggers is not None:
            self.loggers.close(complete=kind is None and self.complete)
        if self.lock is not None:
            self.lock.release()

    @property
    def continue_command(self) -> str:
        """What to type to go on with the run."""
        recipe, out = shlex.quote(str(self.directory / CONFIG)), shlex.quote(str(self.directory))
        return f"fastitpn {self.verb} recipe={recipe} out={out}"

    def resume(self) -> dict[str, Any] | None:
        """The checkpoint to go on from, None to begin. Forgets what was logged after it.

        A damaged last checkpoint is moved out of the way, so that it never takes the place of the one before.

        Raises:
            InputError: It is that of another run.
        """
        folder = self.directory / CHECKPOINTS
        checkpoint = latest_valid(folder)
        if checkpoint is not None:
            identity.check_same(self.directory, self.verb, *checkpoint)
        if self.is_writer:
            if checkpoint is not None and checkpoint[0].name != LAST and (folder / LAST).exists():
                (folder / LAST).replace(folder / "damaged.ckpt")
            sums.record(self.directory, forget=(METRICS, REPORT))
            self._rows_before = read_rows(self.directory / METRICS)
            drop_rows_after(self.directory / METRICS, checkpoint[1]["step"] if checkpoint else 0)
        return checkpoint[1] if checkpoint else None

    def log_row(self, row: Mapping[str, Any]) -> None:
        """Adds a row to `metrics.jsonl`."""
        if self.is_writer:
            append_row(self.directory / METRICS, row)
            if self.loggers is not None:
                self.loggers.write(row)
            if self.refresh is not None and row["split"] == "val":
                self.refresh(row["step"])

    def log_to(self, names: Sequence[str], step: int) -> None:
        """From here on rows go to these loggers as well, from after `step` on; new ones are also given those before.

        Raises:
            InputError: A package is missing, or a service refuses.
        """
        if self.is_writer and names:
            config, rows = flatten(self.config), {"history": self.history, "before": self._rows_before}
            self.loggers = Loggers(names, self.directory, config, step=step, **rows)

    def save_last(self, content: Mapping[str, Any]) -> None:
        """Writes `last.ckpt`; the one before becomes `previous.ckpt`."""
        if self.is_writer:
            folder = self.directory / CHECKPOINTS
            make_room(folder, self.keep_checkpoints)
            save_checkpoint(folder / LAST, {**content, **self.marks}, previous=folder / PREVIOUS)

    def save_best(self, content: Mapping[str, Any]) -> None:
        """Writes `best.ckpt`."""
        if self.is_writer:
            save_checkpoint(self.directory / CHECKPOINTS / BEST, {**content, **self.marks})

    def finish(self, metrics: Mapping[str, Any]) -> None:
        """Writes the final figures, which marks the run as complete."""
        if self.is_writer:
            if self.loggers is not None:
                self.loggers.close(complete=True)
            write_text(self.directory / RESULT, json.dumps(dict(metrics), indent=1) + "\n")

    def say_complete(self) -> None:
        """Print where to look at what came of it."""
        if self.is_writer:
            files = (self.directory / REPORT, self.best_checkpoint)
            say(f"this run is complete: {', '.join(str(file) for file in files if file)}")


def prepare(
    directory: str | PathLike[str], config: Config, *, files: Sequence[Path] = (), rank: int = 0
) -> RunDirectory:
    """Makes a run directory, or opens the one that the same run began before.

    From here on the package's log goes to its `log.txt` as well, and no other process may write into it: used in a
    `with` statement, until the end of that.

    Args:
        directory: The run's `out`.
        config: Every key, resolved; it knows its command.
        files: All that the data consists of: images, masks, annotations. The same files may lie elsewhere when the run
            is continued. Without any the keys alone are compared.
        rank: Number of this process. The first one writes and checks for all of them, so all must call this.

    Raises:
        InputError: The folder holds something else, or a run with other settings or other data; or a process writes
            into it.
    """
    directory = Path(directory)
    problem: InputError | None = None
    lock: RunLock | None = None
    if rank == 0:
        try:
            lock = _lock(directory)
            _make(directory, config, list_files(config, files) if files else None)
        except InputError as error:
            problem = error
        except OSError as error:
            problem = InputError(
                f"the run directory cannot be made: {error.strerror}",
                where=directory,
                expected="a place to write to",
                fix="out=ANOTHER_FOLDER",
            )
    problem = _told_to_all(problem)
    if problem is not None:
        if lock is not None:
            lock.release()
        raise problem
    if rank == 0:
        _log_to(directory / LOG)
    run = RunDirectory(directory, rank=rank)
    run.lock = lock
    return run


def _lock(directory: Path) -> RunLock | None:
    """The lock on a folder, which is made; on a file there is none."""
    if directory.exists() and not directory.is_dir():
        return None
    directory.mkdir(parents=True, exist_ok=True)
    return RunLock(directory)


def _told_to_all(problem: InputError | None) -> InputError | None:
    """What the first process found. The others wait for it, so none looks for the folder before it is made."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return problem
    box = [problem]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]


def _is_begun(name: str) -> bool:
    """Whether a file may be there before the settings: a command that was killed meanwhile is begun again."""
    return name in (DATA, identity.FILE) or name.startswith(".")


def _make(directory: Path, config: Config, listing: Listing | None) -> None:
    if directory.exists() and not directory.is_dir():
        raise InputError(
            "out is a file", where=directory, expected="a folder to make", fix=f"out={free_name(directory)}"
        )
    if (directory / CONFIG).is_file():
        check_same(Run(directory), config, listing)
    elif directory.is_dir() and not all(_is_begun(path.name) for path in children(directory)):
        raise InputError(
            "the folder is not empty, and no run directory",
            where=directory,
            expected="a new folder, or that of the same run",
            fix=f"out={free_name(directory)}",
        )
    else:
        if listing is not None:
            write_listing(directory, listing)
        identity.begin(directory, {"command": config._command, **relevant(flatten(to_dict(config)))}, listing)
        write_text(directory / CONFIG, to_yaml(config))
        sums.record(directory, *SUMMED)
    (directory / CHECKPOINTS).mkdir(exist_ok=True)


class _RunLog(logging.Handler):
    """Opens its file anew for every line: nothing to close, and a deleted file is no trouble.

    That there is no room for a line is said once, and does not end the run.
    """

    def __init__(self, path: Path):
        super().__init__(logging.INFO)
        self.path, self.told = path, False
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if not self.path.parent.is_dir():
            return  # the run was deleted, and its process goes on with something else
        try:
            append_line(self.path, self.format(record))
        except InputError as error:
            if not self.told:
                self.told = True
                say(f"{error.what}; the run continues without it", error=True)


def _log_to(path: Path) -> None:
    for handler in logger.handlers[:]:  # the log of an earlier run of this process
        if isinstance(handler, _RunLog):
            logger.removeHandler(handler)
    if not logger.hasHandlers() and logging.lastResort is not None:
        logger.addHandler(logging.lastResort)  # else the file would be the only one to hear of warnings
    logger.addHandler(_RunLog(path))
    if logger.getEffectiveLevel() > logging.INFO:
        logger.setLevel(logging.INFO)
