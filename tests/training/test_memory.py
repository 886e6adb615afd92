"""The memory of a run."""

import platform
import subprocess
import sys

import pytest
import torch
from tiny_runs import ENVIRONMENT

from fastitpn.training.memory import peak_memory_mib

LINES = (
    "import torch; from fastitpn.training.memory import peak_memory_mib; print(peak_memory_mib(torch.device('cpu')))"
)

REUSE = """
import resource
import torch
from fastitpn.training.memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(2**19)
        torch.ones(2**21)
        torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
before = faults()
keep_freed_memory()
faults()
print(before, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system counts otherwise")
def test_it_is_that_of_this_process_and_not_of_the_one_that_started_it():
    ballast = torch.ones(300 * 2**18)  # 300 MiB
    done = subprocess.run([sys.executable, "-c", LINES], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    peak = peak_memory_mib(torch.device("cpu"))
    assert peak is not None
    assert 30 < float(done.stdout) < peak - 200
    assert ballast.sum() == len(ballast)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_used_again():
    done = subprocess.run([sys.executable, "-c", REUSE], env=ENVIRONMENT, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after < 100 < before
