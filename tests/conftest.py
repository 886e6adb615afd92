"""The helper module `published` lies beside this file."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all-sizes", action="store_true", help="timm's tests on all models, not on the small ones alone")


@pytest.fixture(params=["plain", "chunked", "without onednn"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each way through the network: at once, 5 patches at a time, and with PyTorch's own matrix product."""
    monkeypatch.setattr("fastitpn.models.trunk.CHUNK_PATCHES", 5 if request.param == "chunked" else 10**9)
    if request.param == "without onednn":
        monkeypatch.setattr("fastitpn.models.linear.ENABLED", False)
    return request.param
