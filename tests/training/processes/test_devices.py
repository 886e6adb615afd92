import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_runs import ENVIRONMENT

from fastitpn.errors import InputError
from fastitpn.training.processes.devices import build_fabric


def test_the_cpu_computes_in_float32():
    fabric = build_fabric("cpu")
    assert fabric.device == torch.device("cpu")
    assert fabric.strategy.precision.precision == "32-true"
    assert fabric.world_size == 1


def test_precision_can_be_chosen():
    assert build_fabric("cpu", precision="bf16-mixed").strategy.precision.precision == "bf16-mixed"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"device": "tpu"}, "there is no device 'tpu' here"),
        ({"device": "cpu:1"}, "there is no device 'cpu:1' here"),
        ({"device": "cuda:99"}, "there is no device 'cuda:99' here"),
        ({"device": "cpu", "devices": 0}, "0 devices were asked for"),
        ({"device": "cpu", "precision": "fp8"}, "there is no precision 'fp8'"),
        ({"device": "cpu", "precision": "16-mixed"}, "the CPU has no 16-mixed precision"),
    ],
)
def test_what_is_not_there_is_told(options, text):
    with pytest.raises(InputError, match=text) as caught:
        build_fabric(**options)
    assert caught.value.expected
    assert caught.value.fix


def test_auto_takes_cuda_if_there_is_one(monkeypatch):
    from fastitpn.training.processes import devices

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert devices._accelerator("auto") == ("cuda", None)
    assert devices._accelerator("cuda:1") == ("cuda", 1)
    assert devices.resolve_precision("auto", "cuda") == "16-mixed"
    with pytest.raises(InputError, match="3 devices were asked for"):
        devices._check_count("cuda", None, 3)


def test_of_lightning_only_fabric_is_needed():
    """The dependency is `lightning-fabric`; an environment may have the whole of `lightning` as well."""
    folders = [Path(__file__).parents[3] / name for name in ("src", "tests", "benchmarks", "examples", "docs")]
    files = [file for folder in folders for file in folder.rglob("*.*") if file.suffix in (".py", ".md")]
    imports = re.compile(r"^\s*(import|from) (pytorch_)?lightning\b", re.MULTILINE)
    assert [file for file in files if imports.search(file.read_text(encoding="utf-8"))] == []
    program = (
        "import sys; sys.modules.update(lightning=None, pytorch_lightning=None);"
        "from fastitpn.training.processes.devices import build_fabric, sharded_strategy;"
        "sharded_strategy(2); print(build_fabric('cpu').world_size)"
    )
    environment = {**ENVIRONMENT, "SLURM_NTASKS": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
