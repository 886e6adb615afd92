"""Frames in the place of charts, for the many runs whose reports nobody looks at."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from html import escape
from typing import Any

import pytest

from fastitpn.reporting import charts

_DRAW = charts.to_svg


def framed() -> AbstractContextManager[None]:
    """Within, a chart is an `<svg>` with its title and its numbers, and without lines."""
    return _replaced(lambda figure, title: f'<svg role="img" aria-label="{escape(title)}"></svg>')


def drawn() -> AbstractContextManager[None]:
    """Within, charts are whole."""
    return _replaced(_DRAW)


@contextmanager
def _replaced(draw: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charts, "to_svg", draw)
        yield
