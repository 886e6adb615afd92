"""Reports as a reader has them: opened from the disk in a browser, without a network, wide and on a phone."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from documented import measure_little
from PIL import Image

import fastitpn
from fastitpn.cli.main import main
from fastitpn.reporting.charts import curves
from fastitpn.reporting.report import write_report
from fastitpn.reporting.sections import Grid, Picture
from fastitpn.training.metric import LOSS

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.drawn,
    pytest.mark.skipif(
        BROWSER is None,
        reason="there is no Chromium: apt-get install chromium (or Chrome), then pip install playwright",
    ),
]
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
CHART = ".curves .area"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=BROWSER, args=list(ARGUMENTS))
        yield opened
        opened.close()


@dataclass
class Shown:
    """A page, and what happened on it."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def check_quiet(self, file: Path) -> None:
        """No error or warning, no request but for the file, and nothing wider than the screen."""
        assert self.said == []
        assert [url for url in self.asked if not url.startswith("data:")] == [file.as_uri()]
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    def steps(self, place: int = 0) -> list[float]:
        """Written below a chart."""
        labels = self.page.locator(".curves").nth(place).locator(".step").all_text_contents()
        return [float(label.replace(",", "")) for label in labels]

    def note(self) -> list[str]:
        """What a chart says of the step below the pointer; nothing if it says nothing."""
        note = self.page.locator(".curves .note").first
        return note.locator("> *").all_text_contents() if note.is_visible() else []


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Shown]]:
    contexts = []

    def opened(file: Path, size: dict[str, int] = DESKTOP, **settings: Any) -> Shown:
        context = browser.new_context(viewport=size, offline=True, **settings)
        contexts.append(context)
        shown = Shown(context.new_page())
        shown.page.on("console", lambda message: shown.said.append(message.text))
        shown.page.on("pageerror", lambda error: shown.said.append(str(error)))
        shown.page.on("request", lambda request: shown.asked.append(request.url))
        shown.page.goto(file.as_uri())
        return shown

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Steps 1 to 100 with the loss 2 / step; every 20th is validated."""
    rows: list[dict[str, Any]] = [{"step": step, "split": "train", "loss": 2 / step} for step in range(1, 101)]
    rows += [{"step": step, "split": "val", "loss": 1 / step} for step in range(20, 101, 20)]
    other = [{**row, "loss": 3 * row["loss"]} for row in rows]
    drawn = [
        Picture("Loss", curves({"": rows}, LOSS)),
        Picture("Both", curves({"<b>one</b>": rows, "two": other}, LOSS, log=True)),
    ]
    return write_report(tmp_path / "report.html", title="Run", sections=[Grid("Training", drawn)])


def run_report(name: str) -> Callable[[pytest.FixtureRequest, Path], Path]:
    return lambda request, out: request.getfixturevalue(name).directory / "report.html"


def evaluation_report(run: str, data: str) -> Callable[[pytest.FixtureRequest, Path], Path]:
    def make(request: pytest.FixtureRequest, out: Path) -> Path:
        images = request.getfixturevalue(data)
        images = images.val if data == "scenes" else images
        fastitpn.evaluate(request.getfixturevalue(run).directory, images, out=out, device="cpu", workers=0)
        return out / "report.html"

    return make


def doctor_report(request: pytest.FixtureRequest, out: Path) -> Path:
    main(["doctor", str(request.getfixturevalue("scenes").train), f"out={out}"])
    return out / "report.html"


def comparison_report(request: pytest.FixtureRequest, out: Path) -> Path:
    runs = [str(request.getfixturevalue(name).directory) for name in ("pretrained_run", "classifier_run")]
    assert main(["report", "compare", *runs, f"out={out}"]) == 0
    return out / "report.html"


def benchmark_report(request: pytest.FixtureRequest, out: Path) -> Path:
    keys = {"px": [32], "rounds": 2, "device": "cpu", "acceleration": ["fast"]}
    with pytest.MonkeyPatch.context() as patch:
        measure_little(patch)
        fastitpn.benchmark(model="fastitpn_nano", out=out, **keys)
    return out / "report.html"


ALWAYS = ("Configuration", "Environment")
REPORTS: dict[str, tuple[Callable[[pytest.FixtureRequest, Path], Path], tuple[str, ...]]] = {
    "pretrain": (run_report("pretrained_run"), ("Training", "What student and teacher see", "Timing", *ALWAYS)),
    "classify": (
        run_report("classifier_run"),
        ("Training", "Predictions", "Confusion matrix", "Accuracy by class", "Worst mistakes", "Timing", *ALWAYS),
    ),
    "segment": (
        run_report("segmenter_run"),
        (
            *("Training", "Image, mask, prediction", "IoU by class", "Confusion matrix", "Worst images", "Timing"),
            *ALWAYS,
        ),
    ),
    "detect": (
        run_report("detector_run"),
        (
            *("Training", "Annotations and predictions", "Average precision by class", "Worst mistakes"),
            *("Timing", *ALWAYS),
        ),
    ),
    "evaluate classify": (
        evaluation_report("classifier_run", "scenes"),
        ("Predictions", "Confusion matrix", "Accuracy by class", "Worst mistakes", "Timing", *ALWAYS),
    ),
    "evaluate segment": (
        evaluation_report("segmenter_run", "segment_scenes"),
        ("Image, mask, prediction", "IoU by class", "Confusion matrix", "Worst images", "Timing", *ALWAYS),
    ),
    "evaluate detect": (
        evaluation_report("detector_run", "detect_scenes"),
        (
            *("Annotations and predictions", "Average precision by class", "Worst mistakes", "Timing"),
            *ALWAYS,
        ),
    ),
    "benchmark": (benchmark_report, ("Speed", "How it was measured", *ALWAYS)),
    "doctor": (doctor_report, ("Classes", "Sizes", "Examples", *ALWAYS)),
    "compare": (comparison_report, ("Metrics", "Curves", "Differences in the settings", "Runs", "Configuration")),
}


@pytest.mark.parametrize("kind", REPORTS)
def test_every_report_is_whole_quiet_and_fits_a_phone(kind, show, request, tmp_path):
    make, parts = REPORTS[kind]
    file = make(request, tmp_path / "out")
    for size in (DESKTOP, PHONE):
        shown = show(file, size)
        shown.check_quiet(file)
        assert set(parts) <= set(shown.page.locator("h2").all_text_contents())
        assert shown.page.locator("svg[data-curves]").count() == 0  # all stills are charts by now
        top = shown.page.locator(".summary .figure").first.bounding_box()
        assert top["y"] < size["height"]
        for place in range(charts := shown.page.locator(CHART).count()):
            assert shown.page.locator(CHART).nth(place).locator("path").count() > 0
        assert (charts > 0) == ("Training" in parts or "Curves" in parts)


def test_a_chart_says_the_values_below_the_pointer(report, show):
    shown = show(report)
    chart = shown.page.locator(CHART).first
    box = chart.bounding_box()
    assert shown.note() == []
    seen = {}
    for share in (0.2, 0.5, 0.9):
        shown.page.mouse.move(box["x"] + share * box["width"], box["y"] + 50)
        step, *values = shown.note()
        number = int(step.removeprefix("step "))
        assert number == pytest.approx(100 * share, abs=12)
        assert float(values[0].removesuffix(" training")) == pytest.approx(2 / number, rel=1e-3)  # the row
        seen[share] = number
    assert len(set(seen.values())) == 3
    shown.page.mouse.move(box["x"], box["y"] - 200)
    assert shown.note() == []
    shown.check_quiet(report)


def test_dragging_zooms_and_a_double_click_resets(report, show):
    shown = show(report)
    box = shown.page.locator(CHART).first.bounding_box()
    lines = shown.page.locator(CHART).first.locator("path")
    whole, drawn = shown.steps(), [line.get_attribute("d") for line in lines.all()]
    assert (whole[0], whole[-1]) == (0, 100)
    shown.page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 60)
    shown.page.mouse.down()
    shown.page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 80, steps=4)
    shown.page.mouse.up()
    inside = shown.steps()
    assert min(inside) > 25
    assert max(inside) < 70
    assert len(inside) > 2
    assert shown.steps(1) == whole  # the other chart stays
    shown.page.mouse.dblclick(box["x"] + 0.5 * box["width"], box["y"] + 60)
    assert shown.steps() == whole
    assert [line.get_attribute("d") for line in lines.all()] == drawn
    shown.check_quiet(report)


def test_the_buttons_and_the_keys_do_the_same(report, show):
    shown = show(report)
    closer, wider, everything = (shown.page.locator(".curves .zoom").first.locator("button").nth(i) for i in range(3))
    whole = shown.steps()
    assert wider.is_disabled()
    assert everything.is_disabled()
    closer.click()
    assert max(shown.steps()) - min(shown.steps()) <= 50
    closer.click()
    assert max(shown.steps()) - min(shown.steps()) <= 25
    everything.click()
    assert shown.steps() == whole
    shown.page.locator(CHART).first.focus()
    shown.page.keyboard.press("+")
    assert max(shown.steps()) - min(shown.steps()) <= 50
    shown.page.keyboard.press("Escape")
    assert shown.steps() == whole
    for expected in ("step 1", "step 2"):
        shown.page.keyboard.press("ArrowRight")
        assert shown.note()[0] == expected


def test_a_finger_reads_values_too(report, show):
    shown = show(report, PHONE, has_touch=True, is_mobile=True)
    chart = shown.page.locator(CHART).first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    shown.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 60)
    assert shown.note()[0].startswith("step ")
    shown.check_quiet(report)


def test_several_runs_share_a_chart(report, show):
    shown = show(report)
    chart = shown.page.locator(".curves").nth(1)
    assert chart.locator(".legend > span").all_text_contents() == ["<b>one</b>", "two"]
    chart.locator(".area").focus()
    for _ in range(20):
        shown.page.keyboard.press("ArrowRight")
    said = chart.locator(".note > *").all_text_contents()
    assert said[0] == "step 20"
    assert said[1:] == [
        *("0.1 <b>one</b>, training", "0.05 <b>one</b>, validation"),
        *("0.3 two, training", "0.15 two, validation"),
    ]
    labels = [float(label) for label in chart.locator(".label:not(.step)").all_text_contents() if label != "step"]
    ratios = {round(b / a) for a, b in zip(sorted(labels), sorted(labels)[1:], strict=False)}
    assert ratios <= {2, 3, 10}  # a logarithmic axis


def test_without_scripts_the_stills_are_there(report, show):
    shown = show(report, java_script_enabled=False)
    assert shown.page.locator("svg[data-curves]").count() == 2
    assert "training" in shown.page.locator("svg[data-curves]").first.text_content()


def test_the_page_follows_a_dark_screen(report, show):
    shown = show(report, color_scheme="dark")
    background, ink = shown.page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.querySelector('.label')).fill]"
    )
    assert background == "rgb(15, 17, 20)"
    assert ink == "rgb(152, 161, 171)"


def test_a_click_shows_a_picture_in_full_size(show, tmp_path):
    wide = Picture("Wide", Image.effect_noise((1500, 400), 50))
    file = write_report(tmp_path / "report.html", title="Run", sections=[Grid("Pictures", [wide, wide])])
    shown = show(file)
    image = shown.page.locator("main img").first
    assert image.bounding_box()["width"] < 700
    for act in (image.click, lambda: image.press("Enter")):
        act()
        assert shown.page.locator("dialog[open] img").bounding_box()["width"] == 1500
        shown.page.keyboard.press("Escape")
        shown.page.locator("dialog").wait_for(state="detached")
    shown.check_quiet(file)


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_names_do_not_break_inside_a_card(size, show, tmp_path):
    names = ("fastitpn_base_384", "mask_rcnn", "random weights", 0.5, "fast")
    file = write_report(tmp_path / "report.html", title="Run", summary=[("a", name, "") for name in names])
    figures = show(file, size).page.locator(".summary .figure")
    for place, lines in enumerate((1, 1, 2, 1, 1)):
        box, line = figures.nth(place).evaluate("e => [e.scrollHeight, parseFloat(getComputedStyle(e).lineHeight)]")
        assert box <= lines * line + 1
        assert figures.nth(place).evaluate("e => e.scrollWidth <= e.clientWidth")
