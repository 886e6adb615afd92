"""How much memory a run takes."""

import sys
from pathlib import Path

import torch


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
