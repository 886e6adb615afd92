import logging
from dataclasses import dataclass, field, make_dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import yaml

from fastitpn.config import Config
from fastitpn.errors import InputError
from fastitpn.files import write_text
from fastitpn.runs.metrics_log import append_row
from fastitpn.runs.run_directory import RunDirectory, _make, prepare


@dataclass(frozen=True, kw_only=True)
class Inner(Config):
    """Teacher."""

    name: str = "ema"
    """What it is."""


@dataclass(frozen=True, kw_only=True)
class Example(Config):
    """Run."""

    _command: ClassVar[str] = "pretrain"

    data: Path = Path("photos")
    """Images."""
    lr: float = 1e-5
    """Learning rate."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Of AdamW."""
    teacher: Inner = field(default_factory=Inner)
    """Teacher."""
    workers: int = 2
    """Processes that load images."""
    device: str = "auto"
    """Where to compute."""
    out: Path = Path("runs")
    """Folder of the run."""
    checkpoint_every: int = 500
    """Steps."""


@dataclass(frozen=True, kw_only=True)
class Other(Example):
    """Another command."""

    _command: ClassVar[str] = "finetune classify"


CONFIG = Example()


def test_a_new_run_writes_its_settings_first(tmp_path):
    run = prepare(tmp_path / "runs" / "a", CONFIG)
    text = (tmp_path / "runs" / "a" / "config.yaml").read_text()
    assert text.startswith("# Every key of the run. To repeat it: fastitpn pretrain recipe=THIS_FILE\n")
    assert yaml.safe_load(text) == {
        "data": "photos",
        "lr": 1e-5,
        "betas": [0.9, 0.98],
        "teacher": {"name": "ema"},
        "workers": 2,
        "device": "auto",
        "out": "runs",
        "checkpoint_every": 500,
    }
    assert (run.directory / "checkpoints").is_dir()
    assert run.resume() is None


def test_the_same_settings_continue_and_some_keys_may_change(tmp_path):
    prepare(tmp_path / "a", CONFIG)
    changed = Example(workers=0, device="cpu", out=Path("elsewhere"), checkpoint_every=7)
    run = prepare(tmp_path / "a", changed)
    assert run.config["workers"] == 2


def test_other_settings_are_listed(tmp_path):
    prepare(tmp_path / "a", CONFIG)
    with pytest.raises(InputError, match="a run with other settings") as caught:
        prepare(tmp_path / "a", Other(lr=1e-4, teacher=Inner(name="x")))
    text = str(caught.value)
    assert "command: pretrain there, finetune classify now" in text
    assert "lr: 1e-05 there, 0.0001 now" in text
    assert "teacher.name: 'ema' there, 'x' now" in text
    assert "workers" not in text
    assert caught.value.fix == f"out={tmp_path / 'a-2'}, or delete {tmp_path / 'a'}"


def test_a_long_list_of_differences_is_cut(tmp_path):
    keys = [(f"key{number}", int, field(default=0)) for number in range(20)]
    many = make_dataclass("Many", keys, bases=(Config,), frozen=True, kw_only=True)
    prepare(tmp_path / "a", many())
    (tmp_path / "a-2").mkdir()
    with pytest.raises(InputError) as caught:
        prepare(tmp_path / "a", many(**{name: 1 for name, *_ in keys}))
    assert str(caught.value).count("there, 1 now") == 8
    assert "and 12 more" in str(caught.value)
    assert "a-3" in caught.value.fix


def test_other_peoples_folders_and_files_are_left_alone(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.tex").touch()
    with pytest.raises(InputError, match="not empty, and no run directory"):
        prepare(tmp_path / "a", CONFIG)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="out is a file"):
        prepare(tmp_path / "a" / "thesis.tex", CONFIG)


def test_an_empty_folder_and_one_with_hidden_files_are_taken(tmp_path):
    (tmp_path / ".config.yaml.tmp").touch()
    assert prepare(tmp_path, CONFIG).verb == "pretrain"


@pytest.mark.parametrize("last", ["data.json.gz", "run.json"])
def test_a_command_that_was_killed_before_its_settings_were_written_is_begun_again(last, tmp_path, monkeypatch):
    listing = {"data": {"a.jpg": [1, "x"]}}

    class Killed(BaseException):
        pass

    def kill(path, text):
        if path.name == "config.yaml" or last == "data.json.gz":
            raise Killed
        write_text(path, text)

    for module in ("run_directory", "identity"):
        monkeypatch.setattr(f"fastitpn.runs.{module}.write_text", kill)
    with pytest.raises(Killed):
        _make(tmp_path, CONFIG, listing)
    assert (tmp_path / last).is_file()
    assert not (tmp_path / "config.yaml").exists()
    monkeypatch.undo()
    _make(tmp_path, CONFIG, listing)
    assert (tmp_path / "config.yaml").is_file()


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="run directory cannot be made: Not a directory"):
        prepare(tmp_path / "file" / "a", CONFIG)


def test_only_the_first_process_writes(tmp_path):
    run = prepare(tmp_path, CONFIG)
    append_row(tmp_path / "metrics.jsonl", {"step": 1, "split": "train"})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    other = RunDirectory(tmp_path, rank=1)
    other.resume()
    other.log_row({"step": 1})
    other.save_last({"step": 1})
    other.save_best({"step": 1})
    other.finish({})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert run.is_writer
    assert not other.is_writer


def test_resuming_forgets_what_was_logged_later(tmp_path):
    run = prepare(tmp_path, CONFIG)
    run.save_last({"step": 2})
    for step in (1, 2, 3):
        run.log_row({"step": step, "split": "train"})
    assert run.resume()["step"] == 2
    assert [row["step"] for row in run.history] == [1, 2]


def test_a_damaged_checkpoint_does_not_take_the_place_of_the_one_before(tmp_path):
    run = prepare(tmp_path, CONFIG)
    run.save_last({"step": 1})
    run.save_last({"step": 2})
    run.last_checkpoint.write_bytes(b"torn")
    assert run.resume()["step"] == 1
    run.save_last({"step": 3})
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == [
        "damaged.ckpt",
        "last.ckpt",
        "previous.ckpt",
    ]
    assert run.resume()["step"] == 3


def test_the_command_to_continue_can_be_pasted(tmp_path):
    run = prepare(tmp_path / "my run", CONFIG)
    assert run.continue_command == f"fastitpn pretrain recipe='{tmp_path}/my run/config.yaml' out='{tmp_path}/my run'"


def test_the_log_goes_to_the_run_at_hand(tmp_path, caplog):
    logger = logging.getLogger("fastitpn.some.module")
    prepare(tmp_path / "a", CONFIG)
    logger.info("first")
    prepare(tmp_path / "b", CONFIG)
    logger.warning("second")
    assert (tmp_path / "a" / "log.txt").read_text().endswith("INFO first\n")
    assert (tmp_path / "b" / "log.txt").read_text().endswith("WARNING second\n")
    assert "second" not in (tmp_path / "a" / "log.txt").read_text()


@dataclass(frozen=True, kw_only=True)
class Scheduled(Example):
    """Run of a length."""

    epochs: float | None = 3
    """Length."""
    steps: int | None = None
    """Length."""
    schedule: str = "constant"
    """Learning rate."""
    patience: int | None = None
    """Validations."""
    eval_every_epochs: float = 1
    """Epochs."""


@pytest.mark.parametrize(
    ("before", "now", "complete", "words"),
    [
        ({}, {"epochs": 5}, False, "epochs=5 (was 3)"),
        ({"patience": 2}, {"patience": 4}, False, "patience=4 (was 2)"),
        ({}, {"eval_every_epochs": 0.5}, True, "eval_every_epochs=0.5 (was 1)"),
        ({"epochs": None, "steps": 3}, {"steps": 8, "patience": 1}, False, "steps=8 (was 3), patience=1 (was none)"),
        ({"schedule": "cosine"}, {"patience": 1}, False, "patience=1 (was none)"),
    ],
    ids=["longer", "patience", "validations", "steps", "any-schedule"],
)
def test_what_may_change_in_a_complete_run_is_said_and_written_down(tmp_path, capsys, before, now, complete, words):
    prepare(tmp_path / "a", Scheduled(**before)).finish({})
    run = prepare(tmp_path / "a", Scheduled(**before | now))
    assert run.complete is complete
    assert f"the run goes on with {words}\n" in capsys.readouterr().out
    assert all(run.config[key] == value for key, value in now.items())


@pytest.mark.parametrize(
    ("before", "now", "difference"),
    [
        ({"schedule": "poly"}, {"epochs": 5}, "epochs: 3.0 there, 5 now (schedule=poly spreads the learning rate"),
        ({}, {"epochs": 2}, "epochs: 3.0 there, 2 now"),
        ({}, {"epochs": None, "steps": 9}, "steps: None there, 9 now"),
        ({"schedule": "poly"}, {"schedule": "constant", "epochs": 5}, "schedule: 'poly' there, 'constant' now"),
    ],
    ids=["poly", "shorter", "other-unit", "other-schedule"],
)
def test_no_other_change_of_the_length(tmp_path, before, now, difference):
    prepare(tmp_path / "a", Scheduled(**before))
    with pytest.raises(InputError) as caught:
        prepare(tmp_path / "a", Scheduled(**before | now))
    assert difference in str(caught.value)
