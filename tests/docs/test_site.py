"""The site as a reader has it: built without a warning, complete, and opened from the disk without a network."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from documented import ROOT

import fastitpn
from fastitpn.commands.registry import all_verbs
from fastitpn.config import fields_of

pytest.importorskip("material", reason="pip install 'fastitpn[docs]'")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
OPENED = ("index.html", "how_to/export.html", "reference/python.html", "reference/commands/pretrain.html", "names.html")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Asked(HTMLParser):
    """What a browser fetches to show a page."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("script", "img", "iframe", "source") and given.get("src"):
            self.urls.append(str(given["src"]))
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preconnect", "preload"):
            self.urls.append(str(given["href"]))


def test_no_page_asks_for_anything_from_elsewhere(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        asked = Asked()
        asked.feed(page.read_text(encoding="utf-8"))
        assert asked.urls
        assert [url for url in asked.urls if re.match(r"\w+:|//", url) and not url.startswith("data:")] == [], page


def test_styles_ask_for_nothing_from_elsewhere(site):
    for style in site.rglob("*.css"):
        assert not re.findall(r"url\(['\"]?https?:|@import", style.read_text(encoding="utf-8")), style


def test_every_public_name_is_in_the_reference(site):
    page = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert [name for name in fastitpn.__all__ if f'id="{name}"' not in page] == []
    assert "keep_ratio" in page  # fields with their docstrings


def test_every_key_of_every_verb_is_in_the_reference(site):
    for verb in all_verbs():
        page = (site / "reference" / "commands" / f"{verb.words[0]}.html").read_text(encoding="utf-8")
        assert [key for key in fields_of(verb.config) if f"<code>{key}</code>" not in page] == [], verb.words


def test_every_stored_figure_is_on_the_page_of_figures(site):
    page = (site / "reference" / "figures.html").read_text(encoding="utf-8")
    for file in (ROOT / "benchmarks" / "results").glob("*.json"):
        assert f"benchmarks/results/{file.name}" in page


def test_nothing_is_left_to_be_generated(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert "generated:" not in text, page
        assert "<p>:::" not in text, page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None:
        pytest.skip("there is no Chromium: apt-get install chromium (or Chrome)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_pages_open_from_the_disk(site, browser, size):
    context = browser.new_context(viewport=size, offline=True)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for name in OPENED:
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name
    assert said == []
    assert [url for url in asked if not url.startswith((site.as_uri(), "data:"))] == []
    context.close()


def test_the_search_finds_pages_without_a_network(site, browser):
    context = browser.new_context(viewport=DESKTOP, offline=True)
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    page.locator("input.md-search__input").click()
    page.locator("input.md-search__input").press_sequentially("torchrun")
    first = page.locator(".md-search-result__link").first
    first.wait_for(timeout=20_000)
    assert "machines.html" in str(first.get_attribute("href"))
    context.close()
