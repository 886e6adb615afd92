"""The example that the tests of the engine train is a module beside them."""

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def package_log() -> Iterator[None]:
    """Each test leaves the package's logger as it found it."""
    logger = logging.getLogger("fastitpn")
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
