"""Who started the processes of a run."""

import pytest
import torch
from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

from fastitpn.errors import InputError
from fastitpn.training.processes.devices import build_fabric
from fastitpn.training.processes.launch import cluster_environment

JOB = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_NNODES": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
STEP = {**JOB, "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_NTASKS_PER_NODE": "2"}
TORCHRUN = {"TORCHELASTIC_RUN_ID": "7", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}


@pytest.fixture
def given(monkeypatch):
    """Sets variables in place of those that torchrun or SLURM may have set for the tests themselves."""

    def give(variables):
        for name in {*STEP, *TORCHRUN}:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return give


def test_a_command_of_its_own(given):
    given({})
    assert cluster_environment(1, 1) is None


def test_tasks_of_srun(given):
    given(STEP)
    environment = cluster_environment(2, 2)
    assert isinstance(environment, SLURMEnvironment)
    assert environment.world_size() == 4


@pytest.mark.parametrize("variables", [JOB, {**JOB, "SLURM_STEP_NUM_TASKS": "1"}])
def test_a_command_in_a_batch_script_starts_its_processes_itself(given, variables):
    given(variables)
    environment = cluster_environment(2, 1)
    assert isinstance(environment, LightningEnvironment)
    assert not environment.creates_processes_externally
    assert build_fabric("cpu").world_size == 1


@pytest.mark.parametrize(
    ("variables", "devices", "nodes", "text", "fix"),
    [
        (STEP, 1, 1, "srun started 4 processes, 2 on each machine, and devices=1 nodes=1", "devices=2 nodes=2"),
        (STEP, 1, 4, "srun started 4 processes, 2 on each machine", "devices=2 nodes=2"),
        (TORCHRUN, 2, 1, "torchrun started 4 processes, 2 on each machine", "devices=2 nodes=2"),
        (JOB, 2, 2, "2 machines were asked for, but the processes were not started by srun", "srun"),
        (
            {name: value for name, value in STEP.items() if name != "SLURM_NTASKS_PER_NODE"},
            2,
            2,
            "it was not said how many on each machine",
            "#SBATCH --ntasks-per-node=2",
        ),
    ],
)
def test_other_processes_than_asked_for(given, variables, devices, nodes, text, fix):
    given(variables)
    with pytest.raises(InputError, match=text) as caught:
        build_fabric("cpu", devices, nodes)
    assert fix in caught.value.fix
    assert not torch.distributed.is_initialized()
