"""Libraries that write, quantise and compile graphs print bars and warnings: the comparison decides, not they."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

_LIBRARIES = ("onnxscript", "onnx_ir", "torch.onnx")
"""Loggers with advice; onnxruntime and NNCF log to the root itself, which passes on what others log as before."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What a library prints, warns of or logs below an error is not shown; the log of this package is."""
    root, none = logging.getLogger(), logging.NullHandler()
    levels = {name: logging.getLogger(name).level for name in _LIBRARIES}
    root.addHandler(none)  # else `logging.warning` gives the root a handler for good, and later messages are shown
    root.addFilter(_is_error)
    for name in levels:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        root.removeFilter(_is_error)
        root.removeHandler(none)


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
