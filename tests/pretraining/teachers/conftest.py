"""Encoders for teachers, with random weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A function that gives a file with random weights of a model of timm; read only."""
    folder = tmp_path_factory.mktemp("weights")

    def make(name: str) -> Path:
        path = folder / f"{name}.pth"
        if not path.exists():
            torch.manual_seed(0)
            torch.save(timm.create_model(name).state_dict(), path)
        return path

    return make
