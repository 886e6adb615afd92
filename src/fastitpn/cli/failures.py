"""Failures of the machine, not of the program: what the user can do about them."""

import errno
from collections.abc import Iterator

from fastitpn.config import Config
from fastitpn.errors import FastITPNError, InputError, is_out_of_memory

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NO_ACCESS = (errno.EACCES, errno.EROFS)
_SHOWN = 100
"""Characters of a name that is too long."""


def explain_failure(error: BaseException, config: Config | None) -> InputError | None:
    """The plain message for a lack of memory, disk space or rights, or a name that is too long; None for any other.

    Args:
        error: What was raised; the errors that it was raised from count too.
        config: The command's configuration, to name the keys to change; None if there is none yet.
    """
    for cause in _causes(error):
        if is_out_of_memory(cause):
            return InputError("out of memory", where=_first_line(cause), fix=_less_memory(config))
        if (isinstance(cause, OSError) and cause.errno in _NO_SPACE) or "No space left on device" in str(cause):
            place = _file(cause) or getattr(config, "out", None)
            return InputError(
                "no space left on the disk",
                where=place,
                fix="delete files there, or choose a folder on another disk with out=FOLDER",
            )
        if isinstance(cause, OSError) and cause.errno in _NO_ACCESS and _file(cause):
            return InputError(
                "access denied",
                where=_file(cause),
                expected="rights to read the data and to write to the folder of the run",
                fix="change the rights, or choose another folder with out=FOLDER",
            )
        if isinstance(cause, OSError) and cause.errno == errno.ENAMETOOLONG:
            return InputError(
                "this name is too long for any file",
                where=f"{(_file(cause) or '')[:_SHOWN]} ...",
                expected="names of at most 255 bytes, in paths of at most 4,096",
                fix="look for a missing space or quote in the command or recipe, or take a shorter name",
            )
    return None


def message_of(error: FastITPNError) -> str:
    """The error's text, without the traceback that PyTorch puts around it if it comes from a data-loading process."""
    text = str(error)
    name = f"{type(error).__name__}: "
    if text.startswith(f"Caught {type(error).__name__} in ") and name in text:
        return text.rsplit(name, 1)[1].rstrip()
    return text


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _less_memory(config: Config | None) -> str:
    batch = getattr(config, "batch", None)
    if batch is None or batch == 1:
        return "close other programs, or choose a smaller model or px"
    accumulate = getattr(config, "accumulate", None)
    if accumulate is None:
        return f"batch={batch // 2}"
    return f"batch={batch // 2} accumulate={accumulate * 2} (the same images in each step, half of them at a time)"


def _first_line(error: BaseException) -> str | None:
    return next(iter(str(error).splitlines()), None)


def _file(error: BaseException) -> str | None:
    name = getattr(error, "filename", None)
    return None if name is None else str(name)
