"""Who started the processes of a run: the run itself, torchrun, or SLURM's srun."""

import os
from typing import TYPE_CHECKING

import torch

from fastitpn.errors import InputError

if TYPE_CHECKING:
    from lightning_fabric.plugins.environments import ClusterEnvironment

NO_SRUN = ("", "0", "1")
"""Tasks of a job step that make it no launch of several processes."""


def cluster_environment(devices: int, nodes: int) -> "ClusterEnvironment | None":
    """How the processes of a run find each other; None leaves it to Lightning.

    Only `srun` makes a process one of SLURM's tasks. In a batch script, or in a shell on a node, SLURM sets nearly the
    same variables, but a command that is typed there is one process, which starts the others itself.

    Args:
        devices: Number of devices of each machine, as asked for.
        nodes: Machines, as asked for.

    Raises:
        InputError: torchrun or srun started more or fewer processes than were asked for.
    """
    from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

    if torch.distributed.is_available() and torch.distributed.is_torchelastic_launched():
        each = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        _check("torchrun", int(os.environ["WORLD_SIZE"]), each, devices, nodes)
        return None
    if "SLURM_NTASKS" not in os.environ:
        return None
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "")
    if tasks in NO_SRUN:
        if nodes > 1:
            raise InputError(
                f"{nodes} machines were asked for, but the processes were not started by srun",
                where="nodes",
                expected="one process for each device on each machine",
                fix="srun --kill-on-bad-exit=1 before the command, and #SBATCH --ntasks-per-node=DEVICES",
            )
        return LightningEnvironment()
    machines = int(os.environ.get("SLURM_STEP_NUM_NODES", os.environ.get("SLURM_NNODES", "1")))
    tasks_each = os.environ.get("SLURM_NTASKS_PER_NODE")
    if tasks_each is None:  # Lightning insists on it, for so many are on every machine
        raise InputError(
            f"srun started {tasks} processes, but it was not said how many on each machine",
            where="SLURM",
            expected="as many on each as it has devices",
            fix=f"#SBATCH --ntasks-per-node={int(tasks) // machines}",
        )
    _check("srun", int(tasks), int(tasks_each), devices, nodes)
    return SLURMEnvironment(auto_requeue=False)


def _check(starter: str, started: int, each: int, devices: int, nodes: int) -> None:
    if (started, each) != (devices * nodes, devices):
        raise InputError(
            f"{starter} started {started} processes, {each} on each machine, and devices={devices} nodes={nodes}",
            where="devices, nodes",
            expected="a process for each device",
            fix=f"devices={each} nodes={max(1, started // each)}",
        )
