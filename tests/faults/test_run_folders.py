"""A run's folder while another process writes into it, and with checkpoints that are not its own."""

import json
import multiprocessing
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_runs import ENVIRONMENT

from fastitpn.config import build
from fastitpn.errors import InputError
from fastitpn.runs import identity
from fastitpn.runs.checkpoint import LAST, load_checkpoint, save_checkpoint
from fastitpn.runs.lock import NAME, RunLock
from fastitpn.runs.run import CHECKPOINTS
from fastitpn.runs.run_directory import RunDirectory, prepare
from fastitpn.tasks.classify.config import ClassifyConfig

HOLD = """
import sys, time
from pathlib import Path
from fastitpn.runs.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_told_who_writes(tmp_path, holder):
    with pytest.raises(InputError, match="a run writes into this folder already") as caught:
        RunLock(tmp_path)
    assert f"process {holder.pid} on " in caught.value.what
    assert f"kill -TERM {holder.pid}" in caught.value.fix
    holder.kill()
    holder.wait()
    with RunLock(tmp_path):  # of a process that was killed
        assert (tmp_path / NAME).exists()
    assert not (tmp_path / NAME).exists()


def test_a_worker_does_not_keep_the_lock(tmp_path):
    lock = RunLock(tmp_path)
    worker = multiprocessing.get_context("fork").Process(target=_sleep)
    worker.start()
    lock.release()
    try:
        with RunLock(tmp_path):
            pass
    finally:
        worker.kill()
        worker.join()


def _sleep() -> None:
    import time

    time.sleep(600)


def config(data: Path, out: Path, **keys):
    return build(ClassifyConfig, {"data": data, "out": out, **keys})


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        (folder / name / "a.jpg").write_bytes(b"x" * 10)
    (folder / "labels.json").write_text('{"categories": ["cat", "dog"]}')
    return folder


def files(data: Path) -> list[Path]:
    return sorted(path for path in data.rglob("*") if path.is_file())


def test_a_checkpoint_of_another_run_is_refused(tmp_path, data):
    for name, seed in (("first", 0), ("second", 1)):
        with prepare(tmp_path / name, config(data, tmp_path / name, seed=seed), files=files(data)) as run:
            run.save_last({"step": 5, "task": "classify", "weights": {}})
    shutil.copy(tmp_path / "first" / CHECKPOINTS / LAST, tmp_path / "second" / CHECKPOINTS / LAST)
    with prepare(tmp_path / "second", config(data, tmp_path / "second", seed=1), files=files(data)) as run:
        with pytest.raises(InputError, match=r"last\.ckpt belongs to another run") as caught:
            run.resume()
        assert "rm " in caught.value.fix
        (run.directory / CHECKPOINTS / LAST).unlink()
        assert run.resume() is None
    with prepare(tmp_path / "first", config(data, tmp_path / "first", seed=0), files=files(data)) as run:
        assert run.resume()["step"] == 5


def test_a_checkpoint_of_a_pretraining_is_refused(tmp_path, data):
    with prepare(tmp_path / "run", config(data, tmp_path / "run"), files=files(data)) as run:
        save_checkpoint(run.directory / CHECKPOINTS / LAST, {"step": 5, "task": "pretrain", "weights": {}})
        with pytest.raises(InputError, match="belongs to another run, of the task pretrain"):
            run.resume()


def test_a_run_of_an_earlier_version_goes_on(tmp_path, data):
    with prepare(tmp_path / "run", config(data, tmp_path / "run"), files=files(data)) as run:
        (run.directory / identity.FILE).unlink()
        save_checkpoint(run.directory / CHECKPOINTS / LAST, {"step": 5, "task": "classify", "weights": {}})
    run = RunDirectory(tmp_path / "run")
    assert run.resume()["step"] == 5
    run.save_best({"step": 6})
    assert "run" not in load_checkpoint(run.directory / CHECKPOINTS / "best.ckpt")


def test_the_same_settings_and_data_are_the_same_run(tmp_path, data):
    identities = set()
    for name in ("first", "second"):
        with prepare(tmp_path / name, config(data, tmp_path / name), files=files(data)) as run:
            identities.add(run.marks["run"])
    assert len(identities) == 1
    assert len(identities.pop()) == 32


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: (data / "labels.json").write_text('{"categories": ["dog", "cat"]}'), "with another content: lab"),
        (lambda data: (data / "cat" / "a.jpg").rename(data / "cat" / "b.jpg"), "1 file fewer: cat/a.jpg"),
        (lambda data: (data / "cat" / "a.jpg").write_bytes(b"x" * 11), "1 file of another size: cat/a.jpg"),
    ],
    ids=["labels change places", "a file is renamed", "a picture is replaced"],
)
def test_changed_data_is_named(tmp_path, data, change, said):
    with prepare(tmp_path / "run", config(data, tmp_path / "run"), files=files(data)):
        pass
    change(data)
    with pytest.raises(InputError, match="the folder holds a run with other data") as caught:
        prepare(tmp_path / "run", config(data, tmp_path / "run"), files=files(data))
    assert said in caught.value.what
    assert json.loads((tmp_path / "run" / identity.FILE).read_text())["id"]
    assert not (tmp_path / "run" / NAME).exists()


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ({"batch": 8}, {"batch": 4, "accumulate": 2}, True),  # what a run that ran out of memory is told to type
        ({"batch": 4, "accumulate": 2}, {"batch": 8}, True),
        ({"batch": 4}, {"batch": 2, "devices": 2}, True),
        ({"batch": 4, "devices": 2}, {"batch": 2, "devices": 2, "nodes": 2}, True),
        ({"batch": 8}, {"batch": 4}, False),
    ],
)
def test_the_same_images_a_step_are_the_same_run(tmp_path, data, capsys, before, after, same):
    out = tmp_path / "run"
    with prepare(out, config(data, out, **before), files=files(data)):
        pass
    if not same:
        with pytest.raises(InputError, match="other settings"):
            prepare(out, config(data, out, **after), files=files(data))
        return
    with prepare(out, config(data, out, **after), files=files(data)) as run:
        assert {key: run.config[key] for key in after} == after  # so the command to continue is the new one
    assert "a step has the same" in capsys.readouterr().out
