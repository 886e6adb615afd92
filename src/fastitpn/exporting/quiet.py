"""Libraries that write, quantise and compile graphs print bars and warnings: the comparison decides, not they."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Nothing that a library prints, warns of or logs below an error is shown."""
    root, none = logging.getLogger(), logging.NullHandler()
    before = root.manager.disable
    root.addHandler(none)  # else `logging.warning` gives the root a handler for good, and later messages are shown
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
        root.removeHandler(none)
