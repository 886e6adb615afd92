"""The stored runs and what made them are modules beside these tests."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def package_log() -> Iterator[None]:
    """Each test leaves the package's logger as it found it."""
    logger = logging.getLogger("fastitpn")
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)
