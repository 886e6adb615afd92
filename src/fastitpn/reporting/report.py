"""A report as one HTML file that needs nothing else: no network, no other file, no build step."""

import base64
import hashlib
import io
import os
import re
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from PIL import Image

from fastitpn.files import write_text
from fastitpn.reporting.chart_files import chart_picture, write_chart_files
from fastitpn.reporting.sections import Chart, Section, Table
from fastitpn.reporting.values import Value, format_column, format_value, is_number

_SCRIPTS = ("report.js", "curves.js")
_THUMBNAIL_PX = 320
_PICTURE_PX = 1800
_LEAST_PX = 640
_PNG_BYTES, _THUMBNAIL_BYTES = 200_000, 40_000
"""Pictures whose PNG, quickly made, is larger than this are stored as JPEG."""


def write_report(
    path: str | os.PathLike[str],
    *,
    title: str,
    summary: Sequence[tuple[str, Value, str]] = (),
    sections: Sequence[Section] = (),
    subtitle: str = "",
) -> Path:
    """Write a self-contained HTML report.

    The page follows the reader's light or dark setting and the width of the screen. All text is escaped, and a content
    security policy lets the browser run no script but the page's own and load nothing.

    Args:
        path: The file; missing folders are made. It is replaced in one step, so a reader never sees half a report.
        title: Heading of the page.
        summary: The main figures, on top: (name, value, note). Floats are written with four digits.
        sections: From `sections`, in order.
        subtitle: A line below the title.

    Returns:
        `path`.
    """
    html = render_report(title=title, summary=summary, sections=sections, subtitle=subtitle)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, html, errors="replace")
    write_chart_files(path.parent, sections)
    return path


def render_report(
    *, title: str, summary: Sequence[tuple[str, Value, str]], sections: Sequence[Section], subtitle: str = ""
) -> str:
    """The text of `write_report`'s file."""
    for section in sections:
        if not isinstance(section, Section):
            raise TypeError(f"{type(section).__module__}.{type(section).__name__} is not a section of a report")
    template = resources.files("fastitpn.reporting").joinpath("report.html.j2").read_text(encoding="utf-8")
    scripts = (resources.files("fastitpn.reporting").joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS)
    script = "".join(scripts)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"embed": embed, "value": format_value}
    return environment.from_string(template).render(
        title=title,
        subtitle=subtitle,
        summary=summary,
        sections=[
            (type(section).__name__.lower(), section)
            for section in (chart_picture(part) if isinstance(part, Chart) else part for part in sections)
        ],
        table=_table,
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        thumbnail_px=_THUMBNAIL_PX,
    )


def _table(table: Table) -> tuple[list[tuple[str, bool]], list[list[dict[str, object]]]]:
    """Heads (name, whether numeric) and, row by row, cells: text, key to sort by, share of the bar or None."""
    heads, columns = [], []
    for index, name in enumerate(table.columns):
        values = [row[index] for row in table.rows]
        numeric = any(map(is_number, values)) and all(value is None or is_number(value) for value in values)
        heads.append((name, numeric))
        columns.append(
            [
                {
                    "text": text,
                    "key": value if is_number(value) else text,
                    "bar": min(max(float(value), 0.0), 1.0) if name in table.bars and is_number(value) else None,
                }
                for value, text in zip(values, format_column(values), strict=True)
            ]
        )
    return heads, [list(row) for row in zip(*columns, strict=True)]


def embed(image: Image.Image | str, alt: str, limit_px: int = _PICTURE_PX, least_px: int = _LEAST_PX) -> Markup:
    """A picture as an element of the page, which is never wider than its place but for `least_px`: then it scrolls."""
    if isinstance(image, str):
        # Never below 0.78 of its own size, where its text could no longer be read (it scrolls); above 1.6 it shouts.
        view_box = re.search(r'viewBox="0 0 ([\d.]+)', image)
        width = float(view_box[1]) if view_box else 400.0
        return Markup(
            f'<div style="width:{1.6 * width:.0f}px;max-width:100%;min-width:{0.78 * width:.0f}px">{image}</div>'
        )
    picture = image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGBA" if "A" in image.mode else "RGB")
    if max(picture.size) > limit_px:
        picture = picture.copy()
        picture.thumbnail((limit_px, limit_px))
    kind, data = "png", _encoded(picture, "PNG", compress_level=1)
    if len(data) > (_PNG_BYTES if limit_px == _PICTURE_PX else _THUMBNAIL_BYTES) and picture.mode != "RGBA":
        kind, data = "jpeg", _encoded(picture, "JPEG", quality=90, subsampling=0)
    else:
        data = _encoded(picture, "PNG")  # smaller and slower, so not for pictures that are stored as JPEG anyway
    least_px = min(picture.width, least_px) if limit_px == _PICTURE_PX else 0
    least = f' style="min-width:{least_px}px"' if least_px else ""
    return Markup(
        f'<img src="data:image/{kind};base64,{base64.b64encode(data).decode()}" alt="{escape(alt)}"'
        f' width="{picture.width}" height="{picture.height}"{least}>'
    )


def _encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()
