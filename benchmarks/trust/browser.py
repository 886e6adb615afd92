"""Reports and the app in Chromium, with scripts in the names of classes and files: none runs, nothing is asked for."""

import functools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.trust.app import served
from benchmarks.trust.attacks import Attacks
from benchmarks.trust.inputs import make_inputs, shared_inputs
from benchmarks.trust.markup import NAMES, page_of

IN_APP = ("<img src=x onerror=alert(1)>", "<script>alert(1)</script>", '"><svg onload=alert(1)>')
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")


@functools.cache
def _browser() -> Any:
    """A browser for all attacks of this process; None where there is none."""
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        return None
    return sync_playwright().start().chromium.launch(executable_path=program, args=list(ARGUMENTS))


def _looked_at(url: str, act: Callable[[Any], None] = lambda page: None) -> list[str]:
    """What happened on a page: dialogs, requests for anything but the page, and what its policy stopped."""
    browser = _browser()
    if browser is None:
        return ["there is no Chromium here"]
    context = browser.new_context()
    page, happened = context.new_page(), list[str]()
    page.on("dialog", lambda dialog: (happened.append(f"a dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: happened.append(f"asked {request.url}"))
    page.goto(url)
    act(page)
    title = page.evaluate("document.title")
    context.close()
    own = ("data:", "blob:", url.split("?")[0].rstrip("/"), url.replace("127.0.0.1", "localhost"))
    others = [line for line in happened if not line.startswith(tuple(f"asked {place}" for place in own))]
    return others if title is not None else ["the page has no document"]


def report(number: int, seed: int, folder: Path) -> str | None:
    """A report with a name at every place, hovered over."""
    path = page_of(NAMES[number], folder / "report.html")

    def act(page: Any) -> None:
        page.mouse.move(200, 200)
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(50)

    happened = _looked_at(path.as_uri(), act)
    return f"{NAMES[number]!r}: {happened[:3]}" if happened else None


def app(number: int, seed: int, folder: Path) -> str | None:
    """The app with classes of such names, and an image of such a name uploaded."""
    import json

    from fastitpn.runs.checkpoint import load_checkpoint, save_checkpoint

    name, inputs = IN_APP[number], shared_inputs(folder)
    content = load_checkpoint(inputs / "made" / "classifier.ckpt")
    plain = {key: value for key, value in content.items() if key not in ("weights", "training")}
    changed = json.loads(json.dumps(plain).replace('"cat"', json.dumps(name)).replace('"dog"', json.dumps(f"2{name}")))
    save_checkpoint(folder / "named.ckpt", {**content, **changed})
    image = folder / f"{name.replace('/', '')}.jpg"
    shutil.copy(next((inputs / "scenes" / "unlabelled").rglob("*.jpg")), image)

    def act(page: Any) -> None:
        page.locator("input[type=file]").first.set_input_files(str(image))
        page.get_by_text("ms", exact=False).first.wait_for(timeout=60_000)
        page.wait_for_timeout(500)

    with served(folder / "named.ckpt") as served_page:
        happened = _looked_at(served_page.url, act)
    return f"{name!r}: {happened[:3]}" if happened else None


def prepare(folder: Path) -> None:
    """Checkpoints."""
    make_inputs(shared_inputs(folder))


ATTACKS = (
    Attacks(name="reports in a browser", count=len(NAMES), attack=report),
    Attacks(name="the app in a browser", count=len(IN_APP), attack=app, prepare=prepare),
)
