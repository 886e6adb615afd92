"""The errors of fastitpn: each says what was wrong, where, what was expected and what to type next."""

_MEMORY_TEXTS = ("not enough memory", "can't allocate memory", "out of memory")
"""In PyTorch's RuntimeErrors; only its CUDA allocator has a class of its own."""


class FastITPNError(Exception):
    """Base of all errors raised on purpose. The command line ends with `exit_code` and no traceback."""

    exit_code = 1


class InputError(FastITPNError, ValueError):
    """The command, its data or its files are wrong, and the user can fix it.

    Args:
        what: What was wrong, one sentence.
        where: File (and line) or key path.
        expected: What would have been right.
        fix: What to type next.
    """

    exit_code = 2

    def __init__(self, what: str, *, where: object = None, expected: str | None = None, fix: str | None = None):
        self.what, self.where, self.expected, self.fix = what, where, expected, fix
        lines = [what]
        for title, value in (("where", where), ("expected", expected), ("fix", fix)):
            if value is not None:
                lines.append(f"  {title + ':':<10}{value}")
        super().__init__("\n".join(lines))


class TrainingError(FastITPNError):
    """Training cannot go on (for example losses that stay non-finite)."""


class OtherProcessError(FastITPNError):
    """Another process of a run failed, which ends this one.

    Args:
        rank: Number of that process in the run, from 0.
        text: What it said.
        exit_code: Exit code of that process, which this one takes over.
    """

    def __init__(self, rank: int, text: str, exit_code: int):
        self.exit_code = exit_code
        super().__init__(f"process {rank} of the run failed, which ends the others:\n{text}")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python or PyTorch ran out of memory, of the machine or of a GPU."""
    # By name, because importing torch only to report a failure would hide the failure behind seconds of waiting.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _MEMORY_TEXTS)
