"""The memory in which a thread handles signals, which OpenVINO takes for its own and gives back too early."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_MOST_BYTES = 64
"""More than the system's description of a stack, `stack_t`, has anywhere."""


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Behind it, this thread has the alternative signal stack that it had before.

    OpenVINO's CPU plugin gives each thread that compiles a model a stack of its own, and unmaps it with the model. Of
    two models, the first of which ends first, the second one then puts the first one's stack back, which is no more:
    the next signal that Python handles, such as Ctrl-C or the end of a data worker, would end the process with SIGSEGV.
    """
    if sys.platform != "linux":
        yield
        return
    system, stack = ctypes.CDLL(None), ctypes.create_string_buffer(_MOST_BYTES)
    known = system.sigaltstack(None, stack) == 0
    try:
        yield
    finally:
        if known:
            system.sigaltstack(stack, None)
