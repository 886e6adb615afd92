"""Where to compute, and in which precision."""

from typing import TYPE_CHECKING

import torch

from fastitpn.errors import InputError
from fastitpn.training.memory import keep_freed_memory
from fastitpn.training.processes.fully_sharded import sharded_strategy
from fastitpn.training.processes.launch import cluster_environment

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PRECISIONS = ("auto", "32-true", "bf16-mixed", "16-mixed")


def build_fabric(
    device: str = "auto", devices: int = 1, nodes: int = 1, precision: str = "auto", strategy: str = "ddp"
) -> "Fabric":
    """A launched Fabric. More than one device means data parallelism, one process for each.

    The processes are started from here, unless torchrun or SLURM's srun did.

    Args:
        device: `auto` (CUDA if there is one, else the CPU), `cpu`, `cuda`, `cuda:N` or `mps`.
        devices: Number of them in each machine.
        nodes: Number of machines.
        precision: One of `PRECISIONS`; `auto` is bf16-mixed on CUDA (16-mixed where it has no bf16), else 32-true.
        strategy: With several devices, `ddp` (each has the whole model) or `fsdp` (each keeps a part of it).

    Raises:
        InputError: There is no such device or precision here, or not as many processes as devices were started.
    """
    from lightning_fabric import Fabric  # takes seconds, and help needs none of it

    accelerator, number = _accelerator(device)
    _check_count(accelerator, number, devices)
    environment = cluster_environment(devices, nodes)
    sharded = strategy == "fsdp" and devices * nodes > 1
    if accelerator == "cpu":
        keep_freed_memory()
    fabric = Fabric(
        accelerator=accelerator,
        strategy=sharded_strategy(devices * nodes) if sharded else "auto",
        plugins=[environment] if environment is not None else None,
        devices=[number] if number is not None else devices,
        num_nodes=nodes,
        precision=resolve_precision(precision, accelerator),  # type: ignore[arg-type]
    )
    fabric.launch()
    return fabric


def _available() -> dict[str, int]:
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    return {name: count for name, count in counts.items() if count}


def accelerator_of(device: str) -> str:
    """What a device is: `cpu`, `cuda` or `mps`.

    Raises:
        InputError: There is no such device here.
    """
    return _accelerator(device)[0]


def _accelerator(device: str) -> tuple[str, int | None]:
    available = _available()
    if device == "auto":
        return ("cuda" if "cuda" in available else "cpu"), None
    name, colon, number = device.partition(":")
    if name in available and not colon:
        return name, None
    if name == "cuda" and number.isdecimal() and int(number) < available.get("cuda", 0):
        return name, int(number)
    raise InputError(
        f"there is no device {device!r} here",
        where="device",
        expected=" or ".join(["auto", *available, *(f"cuda:{index}" for index in range(available.get("cuda", 0)))]),
        fix="device=auto",
    )


def _check_count(accelerator: str, number: int | None, devices: int) -> None:
    count = 1 if number is not None else _available()[accelerator]
    if devices < 1 or (accelerator != "cpu" and devices > count):  # a CPU can be shared by processes
        raise InputError(
            f"{devices} devices were asked for",
            where="devices",
            expected=f"1 to {count} of {accelerator}",
            fix=f"devices={count}",
        )


def resolve_precision(precision: str, accelerator: str) -> str:
    """What `precision` stands for on a kind of device.

    Args:
        precision: One of `PRECISIONS`.
        accelerator: `cpu`, `cuda` or `mps`.

    Raises:
        InputError: There is no such precision, or not there.
    """
    if precision not in PRECISIONS:
        raise InputError(
            f"there is no precision {precision!r}",
            where="precision",
            expected=" or ".join(PRECISIONS),
            fix="precision=auto",
        )
    if precision == "16-mixed" and accelerator == "cpu":
        raise InputError(
            "the CPU has no 16-mixed precision",
            where="precision",
            expected="32-true or bf16-mixed",
            fix="precision=32-true",
        )
    if precision != "auto":
        return precision
    if accelerator != "cuda":
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
