"""What a result was measured on: processor, versions and date; no names of hosts or people."""

import datetime
import platform
from pathlib import Path

import timm
import torch

import fastitpn


def describe_machine(device: str = "cpu") -> dict[str, str]:
    """Facts to store beside a result; of the GPU too unless the device is the CPU."""
    facts = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "timm": timm.__version__,
        "fastitpn": fastitpn.__version__,
        "processor": _processor(),
        "threads": str(torch.get_num_threads()),
    }
    if device != "cpu" and torch.cuda.is_available():
        facts["gpu"] = torch.cuda.get_device_name()
    return facts


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor()
    lines = info.read_text().splitlines()
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    flags = next((line for line in lines if line.startswith("flags")), "")
    vector = next((level for level in ("avx512f", "avx2") if level in flags), "")
    return f"{name} ({vector})" if vector else name
