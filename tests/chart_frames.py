"""Frames in the place of charts, for the many runs whose reports nobody looks at."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from html import escape
from typing import Any

import pytest

from fastitpn.reporting import chart_files, charts

_DRAW, _PNG = charts.to_svg, chart_files.to_png


def framed() -> AbstractContextManager[None]:
    """Within, a chart is an `<svg>` with its title and its numbers, and without lines; its PNG file has a header."""
    frame = '<svg role="img" aria-label="{}"></svg>'
    return _replaced(lambda figure, title: frame.format(escape(title)), lambda figure, title: b"\x89PNG")


def drawn() -> AbstractContextManager[None]:
    """Within, charts are whole."""
    return _replaced(_DRAW, _PNG)


@contextmanager
def _replaced(draw: Any, png: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (charts, chart_files):
            patch.setattr(module, "to_svg", draw)
        patch.setattr(chart_files, "to_png", png)
        yield
