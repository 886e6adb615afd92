"""Pre-training in two processes over gloo, however they are started, against one process."""

import signal
import socket
import subprocess
import sys

import forking
import pytest
import timm
import torch
from tiny_runs import ENVIRONMENT, TRAINING, content
from training_example import wait_for_rows

import fastitpn
from fastitpn.config import build
from fastitpn.config.values import show
from fastitpn.runs.run import Run
from fastitpn.tasks.pretrain.config import PretrainConfig
from fastitpn.tasks.pretrain.pretrain import build_task

pytestmark = pytest.mark.slow

STEPS = 20
SAME = {
    **TRAINING,
    "steps": STEPS,
    "lr": 1e-5,
    "min_lr": 1e-6,
    "drop_path": 0,
    "log_every": 5,
    "pictures": False,
    "color_jitter": 0.2,
}
"""Without drop path, whose draws depend on the process; Adam makes much of rounding errors, hence the low rate."""


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "vit.pth"
    torch.save(timm.create_model("test_vit").state_dict(), path)
    return {
        "timm": {"teacher.name": "timm:test_vit", "teacher.weights": path},
        "ema": {"teacher.name": "ema", "teacher.whiten": False, "objective": "per_level"},
    }


def words(out, scenes, **keys) -> list[str]:
    given = {"data": scenes.unlabelled, "out": out, **SAME, **keys}
    return ["pretrain", *(f"{name}={show(value)}" for name, value in given.items())]


def largest_difference(one: Run, other: Run) -> float:
    weights, others = content(one)["weights"], content(other)["weights"]
    return max(float((weights[name] - others[name]).abs().max()) for name in weights)


def fresh_mask_token():
    """What the run began with."""
    config = build(PretrainConfig, {"data": "x", **SAME, "teacher": "ema"})
    return build_task(config).trained_model.mask_token.detach()


def start(arguments, **environment):
    return forking.Popen(
        [sys.executable, *arguments],
        env={**ENVIRONMENT, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=280)
        assert process.returncode == 0, errors


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


@pytest.fixture(scope="module")
def single(scenes, teachers, tmp_path_factory):
    """One process with 16 images a step, for each teacher."""

    def run(teacher: str) -> Run:
        return fastitpn.pretrain(
            data=scenes.unlabelled,
            out=tmp_path_factory.mktemp("single") / teacher,
            **{**SAME, "batch": 16, **teachers[teacher]},
        )

    return {name: run(name) for name in teachers}


@pytest.mark.parametrize(
    ("teacher", "keys"),
    [
        ("timm", {"strategy": "ddp"}),
        ("ema", {"strategy": "ddp"}),
        ("timm", {"strategy": "fsdp", "grad_checkpointing": True}),
        ("ema", {"strategy": "fsdp", "pictures": True}),
    ],
)
def test_2_processes_x_8_images_learn_what_1_x_16_learns(scenes, teachers, single, teacher, keys, tmp_path):
    given = {"batch": 8, "devices": 2, **teachers[teacher], **keys}
    wait(start(["-m", "fastitpn.cli", *words(tmp_path / "two", scenes, **given)]))
    two = Run(tmp_path / "two")
    assert largest_difference(two, single[teacher]) < 1e-6
    moved = content(two)["weights"]["mask_token"] - fresh_mask_token()
    assert float(moved.abs().max()) > 5e-5  # so that to agree means something


def test_torchrun_on_two_machines(scenes, teachers, single, tmp_path):
    """Two machines of one process each, played by one machine."""
    port = free_port()
    wait(
        *(
            start(
                [
                    *("-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={rank}", "--nproc-per-node=1"),
                    *("--master-addr=127.0.0.1", f"--master-port={port}", "-m", "fastitpn.cli"),
                    *words(tmp_path / "two", scenes, batch=8, nodes=2, **teachers["timm"]),
                ]
            )
            for rank in range(2)
        )
    )
    assert largest_difference(Run(tmp_path / "two"), single["timm"]) < 1e-6


def slurm_task(rank: int, port: str) -> dict[str, str]:
    """What srun sets for each of two tasks on a machine each."""
    return {
        "SLURM_JOB_ID": "1234",
        "SLURM_JOB_NAME": "pretrain",
        "SLURM_STEP_ID": "0",
        "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_NNODES": "2",
        "SLURM_STEP_NUM_NODES": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": str(rank),
        "SLURM_NODELIST": "localhost",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }


def test_a_job_of_slurm_is_stopped_by_its_signal_and_goes_on_when_queued_again(scenes, teachers, single, tmp_path):
    """SLURM warns its tasks before their time is up; the second time they come to the end."""
    out, port = tmp_path / "two", free_port()
    arguments = ["-m", "fastitpn.cli", *words(out, scenes, batch=8, nodes=2, log_every=1, **teachers["timm"])]
    tasks = [start(arguments, **slurm_task(rank, port)) for rank in range(2)]
    wait_for_rows(out, 2, tasks[0])
    for task in tasks:
        task.send_signal(signal.SIGUSR1)
    errors = [task.communicate(timeout=280)[1] for task in tasks]
    assert [task.returncode for task in tasks] == [130, 130], errors
    assert 0 < content(Run(out))["step"] < STEPS
    assert "Traceback" not in "".join(errors)
    port = free_port()
    wait(*(start(arguments, **slurm_task(rank, port)) for rank in range(2)))
    assert largest_difference(Run(out), single["timm"]) < 1e-6
