"""Small sizes of iTPN and HiViT for tests; as a plugin of pytest it gives them to timm's own."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import timm
from sizes import forget_size

from fastitpn.models.registry import ARCHITECTURES, register_size

ITPN, HIVIT = "itpn_micro", "hivit_micro"
_LIKE = {ITPN: ("itpn_base", (1, 1, 3)), HIVIT: ("hivit_base", (2, 2, 3))}


def pytest_configure(config: pytest.Config) -> None:
    """Of pytest: before any test is collected. Of timm's models those that are asked for by -k alone are listed."""
    register()
    words, every = config.option.keyword.split(" or "), timm.list_models

    def listed(*given: Any, **keys: Any) -> list[str]:
        return [name for name in every(*given, **keys) if any(word in name for word in words)]

    timm.list_models = listed


def register() -> None:
    """Gives them to timm."""
    for name, (like, depths) in _LIKE.items():
        sizes = {"embed_dim": 48, "depths": depths, "num_heads": 3, "img_size": 64, "pyramid_dim": 24}
        register_size(name, dataclasses.replace(ARCHITECTURES[like], **sizes))


@contextlib.contextmanager
def registered() -> Iterator[None]:
    """The sizes are there for a while."""
    register()
    yield
    for name in _LIKE:
        forget_size(name)
