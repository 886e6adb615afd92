"""Python programs in processes of their own that need not import PyTorch again: copies of a process that has done so.

`run` and `Popen` are those of `subprocess`, for commands that begin with this interpreter. The processes that such a
program starts in turn (those of a run on several devices) are copies of the same process. As a program this file is
that process: it listens at a socket, and forks for each command that it is sent.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import inspect
import json
import os
import runpy
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import tiny_runs

LOOK_EVERY_S = 0.02
KEPT = contextlib.ExitStack()
"""For as long as the process lives."""


@functools.cache
def address() -> str:
    """Where the process listens; it is started when it is needed first."""
    if __name__ == "__main__":
        return sys.argv[1]
    folder = tempfile.mkdtemp()
    place = str(Path(folder) / "socket")
    server = subprocess.Popen([sys.executable, __file__, place], env=tiny_runs.ENVIRONMENT, stdin=subprocess.PIPE)

    @atexit.register
    def end() -> None:
        server.stdin.close()  # type: ignore[union-attr]
        server.wait()
        shutil.rmtree(folder)

    while not Path(place).exists():
        assert server.poll() is None
        time.sleep(LOOK_EVERY_S)
    return place


class Popen(subprocess.Popen[str]):
    """A program that runs in a copy."""

    def _execute_child(self, args: Any, *given: Any) -> None:
        names = list(inspect.signature(subprocess.Popen._execute_child).parameters)[2:]  # type: ignore[attr-defined]
        asked = dict(zip(names, given, strict=True))
        interpreter, *words = map(str, args)
        assert interpreter == sys.executable
        request = {
            "words": words,
            "cwd": str(asked["cwd"] or os.getcwd()),
            "env": dict(asked["env"] or os.environ),
            "group": 0 if asked["start_new_session"] else os.getpgrp(),
        }
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(address())
        pipes = {number: asked[name] for number, name in ((1, "c2pwrite"), (2, "errwrite")) if asked[name] != -1}
        socket.send_fds(self._connection, [b"begin"], [pipes.get(number, number) for number in (1, 2)])
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        self._answers = self._connection.makefile()
        self.pid = int(self._answers.readline())
        self._child_created = True
        for pipe in set(pipes.values()):
            os.close(pipe)

    def _internal_poll(self, *given: Any, **keys: Any) -> int | None:
        if self.returncode is None:
            with selectors.DefaultSelector() as selector:
                selector.register(self._connection, selectors.EVENT_READ)
                if selector.select(0):
                    self._end()
        return self.returncode

    def _try_wait(self, flags: int) -> tuple[int, int]:
        if flags == 0 or self._internal_poll() is not None:
            status = self._status if self.returncode is not None else self._end()
            return self.pid, status
        return 0, 0

    def _end(self) -> int:
        self._status = int(self._answers.readline())
        self._answers.close()
        self._connection.close()
        self.returncode = os.waitstatus_to_exitcode(self._status)
        return self._status


if sys.platform != "linux":
    Popen = subprocess.Popen  # type: ignore[assignment, misc]


def run(
    args: list[str], *, env: dict[str, str], timeout: float = 280, text: bool = True, capture_output: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and read what it prints."""
    assert text
    assert capture_output
    with Popen(args, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(args, process.returncode, output, errors)


def serve(place: str) -> dict[str, Any]:
    """Fork for each request, and tell who asked how the copy ended; in a copy, returns what it is to run."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(place + ".new")
    listener.listen()
    os.rename(place + ".new", place)
    waiting: dict[int, socket.socket] = {}
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select(LOOK_EVERY_S if waiting else None):
            if key.fileobj is sys.stdin:
                os._exit(0)  # who started this process is gone
            connection, _ = listener.accept()
            _, outputs, _, _ = socket.recv_fds(connection, len(b"begin"), 2)
            with connection.makefile() as text:
                request: dict[str, Any] = json.loads(text.readline())
            pid = os.fork()
            if pid == 0:
                os.setpgid(0, request["group"])
                for descriptor, output in enumerate(outputs, 1):
                    os.dup2(output, descriptor)
                for opened in (selector, listener, connection, *waiting.values()):
                    opened.close()
                nothing = os.open(os.devnull, os.O_RDONLY)
                os.dup2(nothing, 0)
                for descriptor in (nothing, *outputs):
                    os.close(descriptor)
                return request
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.setpgid(pid, request["group"])
            for output in outputs:
                os.close(output)
            waiting[pid] = connection
            connection.sendall(b"%d\n" % pid)
        for pid in list(waiting):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with waiting.pop(pid) as connection, contextlib.suppress(BrokenPipeError):  # who asked is gone
                    connection.sendall(b"%d\n" % status)


def begin(request: dict[str, Any]) -> None:
    """What an interpreter does with its command line."""
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    if tiny_runs.SMALL_HEADS in os.environ:
        KEPT.enter_context(tiny_runs.small_heads())
    words = list(request["words"])
    while words[0] in ("-W", "-u"):
        if words.pop(0) == "-W":
            warnings.simplefilter(words.pop(0))  # type: ignore[arg-type]
        else:
            sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
    elif words[0] == "-m":
        sys.argv = ["-m", *words[2:]]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(words[0]).parent))
        runpy.run_path(words[0], run_name="__main__")


IMPORTED = (
    *("timm", "torch.distributed.fsdp", "training_example", "fastitpn.cli.main", "fastitpn.reporting.charts"),
    *("fastitpn.tasks.pretrain.pretrain", "fastitpn.tasks.classify.spec", "fastitpn.tasks.segment.spec"),
    *("fastitpn.tasks.segment.heads.upernet_network", "fastitpn.tasks.segment.heads.mask2former_network"),
    *("fastitpn.tasks.detect.spec", "fastitpn.tasks.detect.heads.dino_network"),
    "fastitpn.tasks.detect.heads.rcnn_detector",
)


def prepare() -> None:
    """Import what runs need, and compute nothing; what Lightning and torchrun start are copies too."""
    import lightning_fabric.strategies.launchers.subprocess_script as launcher
    import torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler as torchrun

    for name in IMPORTED:
        importlib.import_module(name)
    launcher.subprocess = type(sys)("subprocess")
    vars(launcher.subprocess).update(vars(subprocess), Popen=Popen)
    torchrun.Popen = Popen  # type: ignore[misc]


if __name__ == "__main__":
    prepare()
    address()  # programs have other words
    gc.freeze()
    code: Any = 0
    try:
        begin(serve(sys.argv[1]))
    except SystemExit as stop:
        code = stop.code
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)  # without the second that it takes to forget every module
