"""Scripts, escapes of terminals and formulas in names: pages run nothing, consoles obey nothing."""

import contextlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from benchmarks.trust.attacks import Attacks

NAMES = (
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</title><script>alert(1)</script>"),
    *('"><svg onload=alert(1)>', "' onmouseover='alert(1)", "javascript:alert(1)", "</script><script>alert(1)//"),
    *("{{ 7 * 7 }}", "{% raw %}", "${alert(1)}", "<!--", "]]>", "<style>*{display:none}</style>"),
    *("<a href=http://a.b/c>x</a>", "<iframe src=http://a.b>", "<base href=http://a.b>", "<meta http-equiv=refresh>"),
    *("\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "\x9b31m", "\r\nfake line", "\u202efdp.exe", "\x00null"),
    *("=cmd|' /C calc'!A0", "+1+1", "-1+1", "@SUM(1)", "[red]rich[/red]", "[link=http://a.b]x[/link]"),
)


class _Page(HTMLParser):
    def __init__(self, html: str):
        super().__init__()
        self.scripts, self.bad = 0, list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Counts what could do something."""
        self.scripts += tag == "script"
        if tag in ("iframe", "base", "object", "embed", "form"):
            self.bad.append(tag)
        for name, value in attrs:
            fetched = name in ("href", "src", "xlink:href", "action", "srcset", "data", "style")
            if name.startswith("on") or (fetched and re.search(r"javascript:|https?:|//", value or "")):
                self.bad.append(f"{tag} {name}={value}")


def page_of(name: str, path: Path) -> Path:
    """A report with a name at every place."""
    from fastitpn.reporting.chart_files import chart_picture
    from fastitpn.reporting.measure_charts import confusion_chart
    from fastitpn.reporting.report import write_report
    from fastitpn.reporting.sections import Code, Facts, Text

    drawing = chart_picture(confusion_chart([[3, 1], [0, 2]], [name, "dog"], name))
    sections = [_table(name), drawing, Facts(name, {name: name}, name), Text(name, name), Code(name, name, name)]
    return write_report(path, title=name, summary=[(name, name, name)], sections=sections)


def _table(name: str) -> Any:
    from fastitpn.reporting.sections import Table

    rows = [(name, 0.5), ("dog", None)]
    return Table(name, (name, "accuracy"), rows, caption=name, bars=("accuracy",))


def attack(number: int, seed: int, folder: Path) -> str | None:
    """A name on a page, on the console and in an error."""
    from fastitpn.console import printing
    from fastitpn.errors import InputError
    from fastitpn.reporting.tables import print_table
    from fastitpn.reporting.values import printable

    name = NAMES[number]
    page = page_of(name, folder / "report.html").read_text(encoding="utf-8", errors="replace")
    read = _Page(page)
    if read.scripts != 1 or read.bad or "Content-Security-Policy" not in page:
        return f"{name!r}: the page has {read.scripts} scripts, {read.bad}"

    with contextlib.redirect_stdout(io.StringIO()) as said, printing():
        print_table(_table(name))
    for text in (said.getvalue(), printable(name), str(InputError(printable(name)))):
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text.replace("\n", "")):
            return f"{name!r}: the console gets {text[:100]!r}"
    return None


ATTACKS = (Attacks(name="markup and escapes", count=len(NAMES), attack=attack),)
