"""Pre-training in two processes over gloo, however they are started, against one process."""

import socket
import subprocess
import sys

import pytest
import timm
import torch
from tiny_runs import ENVIRONMENT, TRAINING, content

import fastitpn
from fastitpn.config import PretrainConfig, build
from fastitpn.config.values import show
from fastitpn.engine.pretrain import build_task
from fastitpn.engine.run import Run

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
    return subprocess.Popen(
        [sys.executable, *arguments],
        env={**ENVIRONMENT, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait(*processes):
    for process in processes:
        _, errors = process.communicate(timeout=200)
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


@pytest.mark.parametrize("teacher", ["timm", "ema"])
def test_2_processes_x_8_images_learn_what_1_x_16_learns(scenes, teachers, single, teacher, tmp_path):
    wait(start(["-m", "fastitpn.cli", *words(tmp_path / "two", scenes, batch=8, devices=2, **teachers[teacher])]))
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
