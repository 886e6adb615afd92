"""How much memory a run takes, and keeps."""

import ctypes
import sys
from pathlib import Path

import torch

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
NEVER = -1
_CONTAINER = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)
"""Limit and use of memory of a container, in the two forms that Linux has."""


def keep_freed_memory() -> None:
    """Lets freed memory stay with this process, and those it forks, for the next tensor.

    glibc's malloc otherwise gives large blocks back at once, and the kernel clears them before they are used again: a
    quarter of the time of a small network on a CPU. Other C libraries stay as they are.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(M_MMAP_MAX, 0)  # large blocks come from the heap, where they can be used again
            libc.mallopt(M_TRIM_THRESHOLD, NEVER)


def available_memory() -> int | None:
    """Bytes that this process may still take: of the machine, or of its container; None where nobody says."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return None
    kib = [int(line.split()[1]) for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable:")]
    limits = [2**10 * kib[0]] if kib else []
    for limit, used in _CONTAINER:
        if limit.is_file() and used.is_file() and (text := limit.read_text().strip()).isdecimal():
            limits.append(int(text) - int(used.read_text()))
    return max(0, min(limits)) if limits else None


def peak_memory_mib(device: torch.device) -> float | None:
    """Most memory so far, in MiB: of the GPU if the run is on one, else of this process; None where nobody says."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    status = Path("/proc/self/status")
    if status.is_file():  # Linux, where getrusage starts from the peak of the process that started this one
        peaks = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(peaks[0]) / 2**10 if peaks else None
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
