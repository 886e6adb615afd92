"""What readers say is printed, as on the command line, so that tests can look at it."""

import pytest

from fastitpn.console import printing


@pytest.fixture(autouse=True)
def _said_is_printed():
    with printing():
        yield
