"""An error in one process of a run ends all of them, with its message.

Otherwise the others would wait for it in an exchange that never ends (NCCL), or break off with a traceback about a
closed connection (gloo). The process that fails leaves its message in the store through which the processes found each
other, and waits until they have read it.
"""

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import torch

from fastitpn.errors import FastITPNError, OtherProcessError, TrainingError
from fastitpn.training.config import RunConfig

Config = TypeVar("Config", bound=RunConfig)
Result = TypeVar("Result")

FAILURE, READERS = "fastitpn/failure", "fastitpn/readers"
LOOK_EVERY_S = 0.5
READ_WITHIN_S = 5.0
"""How long a process that fails waits for the others to hear of it."""
LEAVE_WITHIN_S = 5.0
"""How long a process that heard of it has before it is ended where it stands, such as in an exchange."""
BROKEN = re.compile(r"gloo|nccl|connection (was )?(closed|reset|refused)|broken pipe", re.IGNORECASE)
"""In the errors of an exchange whose other side is gone."""
WITHOUT_A_WORD = (
    "another process of the run ended without a message\n"
    "  where:    its output says more, unless it was killed because memory ran out\n"
    "  fix:      the same command again, which resumes from the last checkpoint"
)


def propagate_failures(run: Callable[[Config], Result]) -> Callable[[Config], Result]:
    """Wraps a run, so that an error in one of its processes ends all of them."""

    @functools.wraps(run)
    def run_together(config: Config) -> Result:
        if config.devices * config.nodes == 1:
            return run(config)
        with FailurePropagation():
            return run(config)

    return run_together


class FailurePropagation:
    """While entered, this process hears of a failure of the others, and they hear of its own.

    Raises:
        OtherProcessError: In place of what an exchange raised when another process failed.
        TrainingError: Another process failed, and said nothing.
    """

    def __init__(self) -> None:
        self._left = threading.Event()
        self._heard: OtherProcessError | None = None
        self._children: list[subprocess.Popen[bytes]] = []
        self._thread = threading.Thread(target=self._listen, daemon=True, name="fastitpn-failures")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, Exception):
                self._failed(error)
        finally:
            self._left.set()
            self._thread.join(timeout=2 * LOOK_EVERY_S)

    def _failed(self, error: Exception) -> None:
        broken = not isinstance(error, FastITPNError) and BROKEN.search(str(error)) is not None
        if broken:
            self._left.wait(2 * LOOK_EVERY_S)  # the reason may be on its way
        elif self._heard is None:
            self._tell(error)
            return
        if isinstance(error, FastITPNError):
            return
        if self._heard is not None:
            raise self._heard from None
        raise TrainingError(WITHOUT_A_WORD) from error

    def _tell(self, error: Exception) -> None:
        store = _store()
        if store is None:
            return
        with contextlib.suppress(RuntimeError):  # the first process, which keeps the store, is gone
            self._tell_through(store, error)

    def _tell_through(self, store: Any, error: Exception) -> None:
        text = str(error) if isinstance(error, FastITPNError) else f"{type(error).__name__}: {error}"
        rank, code = torch.distributed.get_rank(), getattr(error, "exit_code", 1)
        message = json.dumps({"rank": rank, "text": text, "exit_code": code})
        first = store.compare_set(FAILURE, "", message).decode() == message
        until = time.monotonic() + READ_WITHIN_S
        readers = store.add(READERS, 0 if first else 1)  # one that fails as well needs not be told
        while first and readers < torch.distributed.get_world_size() - 1 and time.monotonic() < until:
            time.sleep(LOOK_EVERY_S / 10)
            readers = store.add(READERS, 0)

    def _listen(self) -> None:
        failure = None
        while failure is None and not self._left.wait(LOOK_EVERY_S):
            self._watch()
            try:
                failure = _failure()
            except (RuntimeError, ValueError):  # the first process, which keeps the store, is gone
                return
            if failure is None and any(child.poll() for child in self._children):
                self._left.wait(LEAVE_WITHIN_S)
                for child in self._children:  # those that wait for the one that is gone
                    child.kill()
                self._leave(TrainingError(WITHOUT_A_WORD), within_s=0)
                return
        if failure is None or failure["rank"] == torch.distributed.get_rank():
            return
        self._heard = OtherProcessError(**failure)
        self._leave(self._heard)

    def _watch(self) -> None:
        """Takes over Lightning's watch of the processes that this one started.

        When one of them has ended, it would kill this one where it stands: without a message, with another exit code.
        """
        for thread in threading.enumerate():
            if thread.name == "child-process-observer":
                observer: Any = thread
                self._children += observer._child_processes
                observer._child_processes = []  # it ends when it finds none

    def _leave(self, error: FastITPNError, within_s: float = LEAVE_WITHIN_S) -> None:
        """Ends this process where it stands, if it does not end by itself."""
        if not self._left.wait(within_s):
            print(error, file=sys.stderr, flush=True)
            os._exit(error.exit_code)  # nothing else ends an exchange that waits


def _failure() -> dict[str, Any] | None:
    """What a process that failed said, and that this one read it."""
    store = _store()
    if store is None or not store.check([FAILURE]):
        return None
    failure: dict[str, Any] = json.loads(store.get(FAILURE))
    if failure["rank"] != torch.distributed.get_rank():
        store.add(READERS, 1)
    return failure


def _store() -> Any:
    """The store of the processes, None before they have found each other."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return None
    return torch.distributed.distributed_c10d._get_default_store()
