"""A disk that answers with input/output errors for a while: it is asked three times more, and what it has is whole."""

import errno
import shutil

import pytest
import torch
from tiny_runs import files

from fastitpn import files as writing
from fastitpn.errors import InputError
from fastitpn.files import PatientFile, append_line, copy_file, persistently, write_text
from fastitpn.runs.checkpoint import load_checkpoint, save_checkpoint

WEIGHTS = {"weights": torch.arange(5000.0)}


class Faulty:
    """A call that fails at first.

    Args:
        call: What it does then.
        failures: How often it fails.
        number: Error of the system.
    """

    def __init__(self, call, failures, number=errno.EIO):
        self.call, self.left, self.number, self.calls = call, failures, number, 0

    def __call__(self, *arguments):
        self.calls += 1
        if self.calls <= self.left:
            raise OSError(self.number, "Input/output error")
        return self.call(*arguments)


@pytest.fixture
def waits(monkeypatch):
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


@pytest.mark.parametrize(("failures", "number", "calls"), [(3, errno.EIO, 4), (4, errno.EIO, 4), (1, errno.ENOSPC, 1)])
def test_it_is_asked_three_times_more(waits, failures, number, calls):
    call = Faulty(lambda value: value, failures, number)
    if failures < calls:
        assert persistently(call, 7) == 7
    else:
        with pytest.raises(OSError, match="Input/output error"):
            persistently(call, 7)
    assert (call.calls, waits) == (calls, [0.1, 0.4, 1.6][: calls - 1])


def faulty_file(failures):
    """The class of files, each of whose first writes fail."""

    class File(PatientFile):
        def __init__(self, *given):
            super().__init__(*given)
            self._raw = Faulty(lambda data: super(PatientFile, self).write(data), failures)

        def write(self, data):
            return persistently(self._raw, data)

    return File


WRITERS = {
    "text": lambda path: write_text(path, "new"),
    "checkpoint": lambda path: save_checkpoint(path, WEIGHTS),
    "line": lambda path: append_line(path, "new"),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("failures", [3, 4])
def test_what_is_written_is_whole_or_the_old_file_stays(name, failures, tmp_path, waits, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old\n")
    with monkeypatch.context() as patch:
        patch.setattr(writing, "PatientFile", faulty_file(failures))
        if failures == 3:
            WRITERS[name](path)
        else:
            with pytest.raises(InputError, match=r"^file could not be written: Input/output error"):
                WRITERS[name](path)
    assert files(tmp_path) == ["file"]
    if failures == 4:
        assert path.read_text() == "old\n"
    elif name == "checkpoint":
        assert torch.equal(load_checkpoint(path)["weights"], WEIGHTS["weights"])
    else:
        assert path.read_text() == {"text": "new", "line": "old\nnew\n"}[name]


def test_a_copy_is_made_again(tmp_path, waits, monkeypatch):
    (tmp_path / "a").write_text("a")
    monkeypatch.setattr(shutil, "copyfile", Faulty(shutil.copyfile, 2))
    copy_file(tmp_path / "a", tmp_path / "b")
    assert ((tmp_path / "b").read_text(), len(waits)) == ("a", 2)
