"""Matplotlib figures as SVG text that takes its font and its colours from the page around it, and as PNG files.

Text stays text (searchable, in the page's font); ink, muted ink and lines become CSS variables with a fallback for
light pages, so one drawing serves light and dark. The same figure always gives the same text.
"""

import hashlib
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK, MUTED, RULE = "#0b0c0d", "#6b6c6d", "#c9cacb"
"""Stand-ins that matplotlib draws with; `to_svg` swaps them for the page's variables."""

PALETTE = ("#3478e5", "#e8772e", "#1f9d72", "#c4519a", "#8560dd", "#b08a1e", "#2a9bb5", "#d64550")
"""Told apart on white and on black, and (the first four) by colour-blind readers."""

_VARIABLES = {INK: "var(--ink, #1c2024)", MUTED: "var(--muted, #656d76)", RULE: "var(--rule, #e1e4e8)"}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fastitpn",
    "text.parse_math": False,  # a class called "$x$" is a name, not a formula
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.0,
    "axes.edgecolor": RULE,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.major.size": 0.0,
    "ytick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.8,
}


@contextmanager
def drawing_style() -> Iterator[None]:
    """Our look while drawing and saving; matplotlib's own settings are back afterwards."""
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        # Only the measuring font lacks such letters; the reader's browser chooses its own.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def to_png(figure: Figure, title: str) -> bytes:
    """Write a figure as a PNG file, on white.

    Args:
        figure: Drawn inside `drawing_style`, which must still be active.
        title: What the drawing shows, for the file's metadata.
    """
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Title": title, "Software": None})
    return buffer.getvalue()


def to_svg(figure: Figure, title: str) -> str:
    """Write a figure as one `<svg>` element.

    Args:
        figure: Drawn inside `drawing_style`, which must still be active.
        title: What the drawing shows, for screen readers.

    Returns:
        SVG text without prolog; its ids are its own, so many drawings can share a page.
    """
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set(facecolor="none", edgecolor="none")
    buffer = io.StringIO()
    # Not by `savefig`, which draws twice: the layout is found while drawing.
    FigureCanvasSVG(figure).print_svg(buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    # The page's font instead of the measuring one; matplotlib before 3.11 writes all font properties as one.
    svg = re.sub(
        r"font: (?:(\w+) )?([\d.]+px) [^;\"]*", lambda f: f"font-weight: {f[1] or 400}; font-size: {f[2]}", svg
    )
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    for stand_in, variable in _VARIABLES.items():
        svg = re.sub(rf"(fill|stroke): {stand_in}", rf"\1: {variable}", svg)
    mark = hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'((?<= id=")|(?<=href="#)|(?<=url\(#))(?=[\w-]+["\)])', f"c{mark}-", svg)
    label = escape(title, quote=True)
    svg = svg.replace(
        "<svg ",
        f'<svg role="img" aria-label="{label}" font-family="system-ui, sans-serif" stroke-linejoin="round" ',
        1,
    )
    return re.sub(r"\n\s*", "\n", svg).strip()
