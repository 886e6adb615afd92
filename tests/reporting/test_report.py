import base64
import hashlib
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from rich.text import Text as RichText

from fastitpn.errors import InputError
from fastitpn.reporting.chart_files import chart_picture
from fastitpn.reporting.measure_charts import confusion_chart
from fastitpn.reporting.pictures import Item
from fastitpn.reporting.report import render_report, write_report
from fastitpn.reporting.sections import Code, Facts, Gallery, Grid, Picture, Section, Table, Text

pytestmark = pytest.mark.drawn

HOSTILE = "<script>alert('x')</script><img src=http://a.b/c onerror=alert(1)>\"'&"


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def picture(size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new("RGB", size, (200, 30, 60))


def every_section(name: str) -> list[Section]:
    chart = confusion_chart([[3, 1], [0, 2]], [name, "dog"], name)
    drawing = chart_picture(chart).image
    return [
        Table(name, (name, "accuracy"), [(name, 0.5), ("dog", None)], caption=name, bars=("accuracy",)),
        Picture(name, picture(), name),
        Picture(name, drawing, name),
        replace(chart, title=name),
        Grid(name, [Picture(name, drawing, name), Picture(name, picture())], name),
        Gallery(name, [Item(picture(), name, True), Item(picture(), name, False), Item(picture(), name)], name),
        Facts(name, {name: name}, name),
        Text(name, f"{name}\n\n{name}"),
        Code(name, name, name),
    ]


def render(*sections: Section, **changes: object) -> str:
    return render_report(**{"title": "Run", "summary": [], "sections": sections} | changes)  # type: ignore[arg-type]


def test_hostile_names_are_harmless_everywhere() -> None:
    html = render(*every_section(HOSTILE), title=HOSTILE, subtitle=HOSTILE, summary=[(HOSTILE, HOSTILE, HOSTILE)])
    page = Page(html)
    assert page.count("script") == 1  # the page's own
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert html.count("<script") == 1
    assert "".join(page.texts).count("<script>alert('x')</script>") >= 20


def test_nothing_is_loaded_from_anywhere() -> None:
    page = Page(render(*every_section("cat")))
    sources = [
        value or ""
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "poster", "data", "action")
    ]
    assert len(sources) > 10
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert page.count("link") == 0


def test_the_policy_allows_exactly_the_pages_own_script() -> None:
    html = render(Text("a", "b"))
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert "default-src 'none'" in html


def test_figures_come_first() -> None:
    html = render(Text("Curves", "body"), summary=[("Top-1", 0.91534, "on 10 images"), ("Steps", 8000, "")])
    texts = [text.strip() for text in Page(html).texts if text.strip()]
    assert texts.index("0.9153") < texts.index("Curves")
    assert "8,000" in texts
    assert "on 10 images" in texts


def test_cells_carry_the_key_to_sort_by() -> None:
    html = render(
        Table("Classes", ("class", "images", "accuracy"), [("cat", 1200, 0.25), ("dog", 7, None)], bars=("accuracy",))
    )
    cells = [attributes for tag, attributes in Page(html).tags if tag == "td"]
    assert [cell["data-key"] for cell in cells] == ["cat", "1200", "0.25", "dog", "7", "\N{EN DASH}"]
    assert cells[2]["style"] == "--share: 25.0%"
    assert cells[5].get("style") is None
    assert [a.get("class") for tag, a in Page(html).tags if tag == "th"] == [None, "number", "number"]


def test_right_and_wrong_are_told_in_words_too() -> None:
    titles = [a.get("title") for tag, a in Page(render(*every_section("cat"))).tags if tag == "span"]
    assert titles == ["right", "wrong"]


def test_big_pictures_are_shrunk_and_compressed() -> None:
    noise = Image.effect_noise((3000, 1500), 90).convert("RGB")
    (attributes,) = (a for tag, a in Page(render(Picture("Noise", noise))).tags if tag == "img")
    assert (attributes["width"], attributes["height"]) == ("1800", "900")
    assert (attributes["src"] or "").startswith("data:image/jpeg;base64,")
    assert noise.size == (3000, 1500)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1", "I;16"])
def test_every_mode_of_picture_is_accepted(mode: str) -> None:
    image = Image.new(mode, (8, 8))
    assert "data:image/png;base64," in render(Picture("a", image), Gallery("b", [Item(image, "c")]))


def test_strings_must_be_drawings() -> None:
    with pytest.raises(ValueError, match="picture 'a': a string must be one <svg> element"):
        Picture("a", "chart.png")


def test_only_sections_are_written() -> None:
    with pytest.raises(TypeError, match=r"rich\.text\.Text is not a section"):
        render(RichText("a"))  # type: ignore[arg-type]


def test_the_same_report_has_the_same_text() -> None:
    assert render(*every_section("cat")) == render(*every_section("cat"))


def test_the_file_appears_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_report(tmp_path / "new" / "report.html", title="first \udce9", sections=every_section("cat"))
    before = path.read_text(encoding="utf-8")
    assert "first ?" in before

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(InputError, match=r"report\.html could not be written: the disk is full"):
        write_report(path, title="second")
    assert path.read_text(encoding="utf-8") == before
    assert {entry.name for entry in path.parent.iterdir()} == {"report.html", "charts"}


def test_a_report_of_nothing() -> None:
    assert "<h1>Run</h1>" in render()


BROWSER = shutil.which("chromium")


@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed; sorting and the policy are tried in a browser")
def test_in_a_browser(tmp_path: Path) -> None:
    """Tables sort by numbers; a script inside a drawing does not run under the page's policy."""
    table = Table("Classes", ("class", "images"), [("a", 9), ("b", None), ("c", 100), ("d", 20)])
    drawing = "<svg viewBox='0 0 1 1'><script>document.title = 'obeyed'</script></svg>"
    html = render(table, Picture("Drawing", drawing))
    shown = browse(tmp_path, html)
    assert "<title>Run</title>" in shown
    click = "<script>document.querySelectorAll('th button')[1].click()</script>"
    unguarded = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html).replace(
        "</body>", click + "</body>"
    )
    shown = browse(tmp_path, unguarded)
    assert "<title>obeyed</title>" in shown  # so the first half of this test can fail
    assert re.findall(r'<td data-key="([a-d])"', shown) == ["c", "d", "a", "b"]
    shown = browse(
        tmp_path, unguarded.replace("click()", "click();" + "document.querySelectorAll('th button')[1].click()")
    )
    assert re.findall(r'<td data-key="([a-d])"', shown) == ["a", "d", "c", "b"]


def browse(folder: Path, html: str) -> str:
    """The page's elements after its scripts have run."""
    assert BROWSER is not None
    (folder / "page.html").write_text(html, encoding="utf-8")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    command = [BROWSER, *flags.split(), "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={folder / 'profile'}", "--dump-dom", (folder / "page.html").as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
