import errno
from pathlib import Path

import pytest

from fastitpn.cli.failures import explain_failure, message_of
from fastitpn.cli.main import main
from fastitpn.commands.inspect import InspectConfig
from fastitpn.config import parse
from fastitpn.errors import InputError
from fastitpn.tasks.keys import PredictConfig
from fastitpn.tasks.pretrain.config import PretrainConfig

PRETRAIN = parse(PretrainConfig, ["data=photos", "out=runs/a", "batch=12", "accumulate=3"])


class OutOfMemoryError(RuntimeError):
    """Named as PyTorch's, which is recognised by its name so that torch need not be imported."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ],
)
def test_out_of_memory(error):
    text = str(explain_failure(error, PRETRAIN))
    assert text.startswith("out of memory")
    assert text.endswith("fix:      batch=6 accumulate=6 (the same images in each step, half of them at a time)")


def test_out_of_memory_keeps_the_first_line_of_the_cause():
    text = str(explain_failure(OutOfMemoryError("CUDA out of memory.\nmore"), PRETRAIN))
    assert "where:    CUDA out of memory.\n" in text
    assert "more" not in text


@pytest.mark.parametrize(
    ("config", "fix"),
    [
        (parse(PredictConfig, ["run", "a.jpg", "batch=9"]), "batch=4"),
        (parse(PredictConfig, ["run", "a.jpg", "batch=1"]), "close other programs, or choose a smaller model or px"),
        (parse(InspectConfig, ["a.pt"]), "close other programs, or choose a smaller model or px"),
        (None, "close other programs, or choose a smaller model or px"),
    ],
)
def test_the_way_out_of_memory_fits_the_command(config, fix):
    assert str(explain_failure(MemoryError(), config)).endswith(f"fix:      {fix}")


def test_no_space_left_names_the_file_or_the_run():
    known = explain_failure(OSError(errno.ENOSPC, "No space left on device", "runs/a/last.ckpt"), PRETRAIN)
    assert known is not None
    assert (known.exit_code, known.where) == (2, "runs/a/last.ckpt")
    assert str(known).startswith("no space left on the disk\n")
    assert "out=FOLDER" in str(known)
    nameless = explain_failure(OSError(errno.ENOSPC, "No space left on device"), PRETRAIN)
    assert nameless is not None
    assert nameless.where == Path("runs/a")


def test_the_cause_of_an_error_counts():
    error = RuntimeError("the checkpoint was not written")
    error.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert "no space left" in str(explain_failure(error, PRETRAIN))
    error.__cause__.__cause__ = error  # a circle ends too
    error.__cause__.errno = errno.ENOENT
    error.__cause__.args = ("gone",)
    error.__cause__.strerror = "gone"
    assert explain_failure(error, PRETRAIN) is None


def test_access_denied():
    text = str(explain_failure(PermissionError(errno.EACCES, "Permission denied", "/data/x"), PRETRAIN))
    assert text.startswith("access denied\n  where:    /data/x\n")


def test_an_error_from_a_data_loading_process_is_shown_without_its_traceback():
    from torch._utils import ExceptionWrapper

    original = InputError("not an image", where="photos/a.jpg", fix="delete it")
    try:
        raise original
    except InputError:
        wrapper = ExceptionWrapper(where="in DataLoader worker process 0")
    with pytest.raises(InputError, match="Traceback") as caught:
        wrapper.reraise()
    assert message_of(caught.value) == str(original)
    assert message_of(original) == str(original)


@pytest.mark.parametrize("error", [ValueError("x"), FileNotFoundError(errno.ENOENT, "no", "a"), RuntimeError("memory")])
def test_other_errors_are_left_alone(error):
    assert explain_failure(error, PRETRAIN) is None


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "{}", "a.jpg"],
        ["finetune", "classify", "data={}", "out=b"],
        ["finetune", "classify", "recipe={}"],
        ["doctor", "{}"],
        ["inspect", "{}"],
    ],
    ids=" ".join,
)
def test_a_name_that_is_too_long(words, capsys):
    assert main([word.format("x" * 300) for word in words]) == 2
    said = capsys.readouterr().err
    assert f"this name is too long for any file\n  where:    {'x' * 100} ...\n" in said
