"""What a result was measured on: processor, versions and date; no names of hosts or people."""

import datetime
import platform
import re
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
    """Its model, and the widest vectors that it has (Linux)."""
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    name = re.search(r"^model name\s*: (.+)", text, re.M)
    vector = re.search(r"\bavx512f\b", text) or re.search(r"\bavx2\b", text)
    return (name[1] if name else platform.processor()) + (f" ({vector[0]})" if vector else "")
