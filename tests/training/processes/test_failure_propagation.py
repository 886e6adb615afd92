"""A failure of one process, as the others hear of it."""

import sys
import textwrap
import time

import forking
import pytest
from tiny_runs import ENVIRONMENT

from fastitpn.errors import OtherProcessError
from fastitpn.training.processes.failure_propagation import propagate_failures

pytestmark = pytest.mark.slow

PROGRAM = """
    import sys, time, types
    import torch
    from fastitpn.cli.failures import message_of
    from fastitpn.training.processes.devices import build_fabric
    from fastitpn.training.processes.failure_propagation import propagate_failures
    from fastitpn.errors import FastITPNError, InputError

    @propagate_failures
    def run(config):
        fabric = build_fabric("cpu", devices=2)
        fabric.all_reduce(torch.ones(1))
        {failing}
        fabric.all_reduce(torch.ones(1))
        print("not reached")

    try:
        run(types.SimpleNamespace(devices=2, nodes=1))
    except FastITPNError as error:
        print(f"{{type(error).__name__}}|{{message_of(error)}}|", file=sys.stderr)
        sys.exit(error.exit_code)
"""
ON_ONE = "if fabric.global_rank == {rank}: raise InputError('the data is wrong', where='here', fix='data=FOLDER')"


def run(tmp_path, failing):
    file = tmp_path / "program.py"
    file.write_text(textwrap.dedent(PROGRAM).format(failing=failing))
    return forking.run([sys.executable, str(file)], timeout=200, env={**ENVIRONMENT, "OMP_NUM_THREADS": "1"})


@pytest.mark.parametrize("rank", [0, 1])
def test_the_others_end_with_the_message_of_the_one_that_fails(tmp_path, rank):
    done = run(tmp_path, ON_ONE.format(rank=rank))
    message = "the data is wrong\n  where:    here\n  fix:      data=FOLDER"
    assert f"InputError|{message}|" in done.stderr
    assert f"process {rank} of the run failed, which ends the others:\n{message}" in done.stderr
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "not reached" not in done.stdout


def test_one_that_waits_for_ever_is_ended(tmp_path):
    """As in an exchange of NCCL, which does not see that the other side is gone."""
    failing = ON_ONE.format(rank=1) + "\n    time.sleep(1000)"
    began = time.monotonic()
    done = run(tmp_path, failing)
    assert done.returncode == 2
    assert time.monotonic() - began < 150
    assert "process 1 of the run failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_all_fail_alike(tmp_path):
    done = run(tmp_path, "raise InputError('the folder is taken')")
    assert done.stderr.count("InputError|the folder is taken|") == 2
    assert done.returncode == 2


def test_one_that_fails_as_well_after_the_store_is_gone(tmp_path):
    """The first process, which keeps the store, has heard that all know, and has ended."""
    failing = """
        if fabric.global_rank == 1:
            import fastitpn.training.processes.failure_propagation as module
            module._failure = lambda: None  # it has not taken the message in
            module._store().add(module.READERS, 1)
            time.sleep(3)
        raise InputError('the folder is taken')
    """
    done = run(tmp_path, textwrap.indent(textwrap.dedent(failing), "    ").strip())
    assert done.stderr.count("InputError|the folder is taken|") == 2
    assert "Traceback" not in done.stderr
    assert done.returncode == 2


def test_one_that_is_killed(tmp_path):
    done = run(tmp_path, "if fabric.global_rank == 1: import os; os.kill(os.getpid(), 9)")
    assert "TrainingError|another process of the run ended without a message" in done.stderr
    assert done.returncode == 1


def test_one_that_is_killed_while_another_waits_for_ever(tmp_path):
    done = run(tmp_path, "if fabric.global_rank == 1: import os; os.kill(os.getpid(), 9)\n    time.sleep(1000)")
    assert "another process of the run ended without a message" in done.stderr
    assert done.returncode == 1


def test_a_single_process_is_left_alone():
    import types

    @propagate_failures
    def fails(config):
        raise OSError("nccl: connection closed")

    with pytest.raises(OSError, match="connection closed"):
        fails(types.SimpleNamespace(devices=1, nodes=1))
    assert OtherProcessError(3, "text", 2).exit_code == 2
