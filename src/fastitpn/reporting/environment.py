"""The versions and the machine behind a result, without anything that names a person or a host."""

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import torch

import fastitpn
from fastitpn.reporting.values import format_duration

_PACKAGES = ("torch", "torchvision", "timm", "lightning-fabric", "lightning", "numpy", "pillow")
"""Packages to name if they are installed; `lightning` brings `lightning_fabric`, under its own version."""


def describe_environment(
    device: torch.device | str | None = None, *, wall_time_s: float | None = None, now: datetime | None = None
) -> dict[str, str]:
    """Say what a result was made with.

    Args:
        device: Where the model ran; left out if None.
        wall_time_s: How long it took, in seconds; left out if None.
        now: The date to write; the present if None.

    Returns:
        Names to values, for `sections.Facts` and for JSON. No host name, user name or path.
    """
    facts = {"date": (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")}
    if wall_time_s is not None:
        facts["wall time"] = format_duration(wall_time_s)
    if device is not None:
        facts["device"] = _device_name(torch.device(device))
    facts["fastitpn"] = fastitpn.__version__
    facts["python"] = platform.python_version()
    for package in _PACKAGES:
        try:
            facts[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if torch.version.cuda:
        facts["cuda"] = torch.version.cuda
    facts["system"] = f"{platform.system()} {platform.machine()}"
    facts["processor"] = _processor_name()
    facts["processor cores"] = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    facts["torch threads"] = str(torch.get_num_threads())
    memory = _memory_bytes()
    if memory is not None:
        facts["memory"] = f"{memory / 2**30:.0f} GiB"
    return facts


def _device_name(device: torch.device) -> str:
    if device.type == "cuda" and torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    return device.type


def _processor_name() -> str:
    """The processor's model; its architecture where the system does not tell (Linux does)."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name" and value.strip():
            return value.strip()
    return platform.machine() or "unknown"


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not a POSIX system
        return None
