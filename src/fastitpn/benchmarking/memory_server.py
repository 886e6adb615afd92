"""The process behind `memory.MemoryMeter`: for each line of its input a child of its own runs a model twice.

Nothing is computed in this process itself, so that its children start without threads and with little memory.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from fastitpn.benchmarking.candidates import Candidate
from fastitpn.benchmarking.conditions import OUT_OF_MEMORY, Conditions, is_out_of_memory, weight_bytes
from fastitpn.benchmarking.memory import MIB


def main() -> None:
    """Answer until the input ends."""
    for line in sys.stdin:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            answer_in_child(json.loads(line), writing)
        os.close(writing)
        with open(reading, encoding="utf-8") as pipe:
            answer = pipe.read()
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:  # as the system does when memory runs out
            answer = json.dumps({"problem": OUT_OF_MEMORY})
        print(answer or "{}", flush=True)


def answer_in_child(request: dict[str, Any], writing: int) -> None:
    """Write the answer to a request into a pipe, and end the process."""
    answer: dict[str, Any] = {}
    try:
        answer["mib"] = measure(request)
    except Exception as error:  # any other will come again where the model is timed
        if is_out_of_memory(error):
            answer["problem"] = OUT_OF_MEMORY
    finally:
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)


def measure(request: dict[str, Any]) -> float:
    """Peak memory in MiB of what `MemoryMeter.measure` asks for."""
    conditions = Conditions(**request["conditions"])
    candidate = Candidate.from_dict(request["candidate"])
    torch.set_num_threads(conditions.threads or 1)
    model = candidate.build(request["px"])
    images = torch.zeros(request["batch"], candidate.in_chans, request["px"], request["px"])
    run = conditions.forward(model, images)
    run()  # loads kernels, compiles
    Path("/proc/self/clear_refs").write_text("5")  # forgets the highest level
    before = _resident_bytes("VmRSS")
    run()
    return (weight_bytes(model) + images.nbytes + _resident_bytes("VmHWM") - before) / MIB


def _resident_bytes(entry: str) -> int:
    """Resident memory of this process: now (VmRSS), or at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{entry}:"))


if __name__ == "__main__":
    main()
