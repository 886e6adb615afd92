"""Peak memory of a forward pass: weights, input, and the most that the pass holds beside them.

On CUDA the allocator keeps count. On a CPU a process of its own runs the pass, and the system is asked for the highest
level of its resident memory; so a model that takes more than there is ends that process and not this one.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch

import fastitpn
from fastitpn.benchmarking.candidates import Candidate
from fastitpn.benchmarking.conditions import Conditions

SERVER = "fastitpn.benchmarking.memory_server"
MIB = 2**20


class MemoryMeter:
    """Measures peak memory on a CPU, in processes of their own. To be entered; on other devices it does nothing."""

    def __init__(self, conditions: Conditions):
        self._conditions = conditions
        self._server: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        if torch.device(self._conditions.device).type == "cpu" and Path("/proc/self/clear_refs").exists():
            source = str(Path(fastitpn.__file__).parents[1])
            paths = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
            # Large blocks then go back to the system when they are freed, so that what is resident is what is in use.
            settings = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
            settings["OPENBLAS_NUM_THREADS"] = "1"  # a process that forks should have no threads
            self._server = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", SERVER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **settings, "PYTHONPATH": paths},
                text=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            if kind is not None:
                self._server.kill()
            for pipe in (self._server.stdin, self._server.stdout):
                assert pipe is not None
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
            self._server.wait()

    def measure(self, candidate: Candidate, px: int, batch: int) -> tuple[float | None, str | None]:
        """Peak memory in MiB, None if it cannot be known here; and why the pass cannot run, if so."""
        if self._server is None or self._server.stdout is None:
            return None, None
        conditions = self._conditions
        request = {
            "candidate": candidate.to_dict(),
            "conditions": {
                "precision": conditions.precision,
                "compile": conditions.compile,
                "threads": torch.get_num_threads(),
            },
            "px": px,
            "batch": batch,
        }
        try:
            print(json.dumps(request), file=self._server.stdin, flush=True)
            answer: dict[str, Any] = json.loads(self._server.stdout.readline() or "{}")
        except BrokenPipeError:  # something ended it
            return None, None
        return answer.get("mib"), answer.get("problem")


def cuda_peak_mib(run: Callable[[], object], own_bytes: int) -> float:
    """Peak memory in MiB of a pass on CUDA, where other models may lie beside this one.

    Args:
        run: The pass, which has been run before.
        own_bytes: Bytes of the weights and of the input.
    """
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    torch.cuda.synchronize()
    return (own_bytes + torch.cuda.max_memory_allocated() - before) / MIB
