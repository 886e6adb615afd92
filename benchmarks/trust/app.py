"""The app's endpoints, asked as a hostile page or program asks."""

import contextlib
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.trust.attacks import Attacks, in_copy
from benchmarks.trust.inputs import make_inputs, shared_inputs

ROUTES = (
    *("/gradio_api/file=/etc/hostname", "/gradio_api/file=%2Fetc%2Fhostname", "/gradio_api/file=pyproject.toml"),
    *("/gradio_api/file/etc/hostname", "/gradio_api/file=http://127.0.0.1:9/a.png", "/file=/etc/hostname"),
    *(
        "/gradio_api/file=%2e%2e/%2e%2e/etc/hostname",
        "/gradio_api/proxy=http://127.0.0.1:9/a.png",
        "/static/../../etc/passwd",
    ),
)
PATHS = ("{image}", "{uploads}/../{image}", "http://127.0.0.1:9/a.png", "/etc/hostname", "file://{image}", "/dev/zero")
HEADERS = (
    {"Host": "elsewhere.example"},
    {"Host": "localhost.elsewhere.example"},
    {"Host": "127.0.0.1.elsewhere.example"},
)
MANY = 50
COUNT = len(ROUTES) + len(PATHS) + len(HEADERS) + 3


@contextlib.contextmanager
def served(checkpoint: Path) -> Iterator[Any]:
    """The page, by a thread."""
    from fastitpn.application.config import AppConfig
    from fastitpn.application.server import serving

    with serving(AppConfig(checkpoint=checkpoint, port=0, device="cpu", top_k=2)) as page:
        thread = threading.Thread(target=page.server.run, kwargs={"sockets": [page.socket]})
        thread.start()
        while not page.server.started:
            time.sleep(0.05)
        yield page
        page.server.should_exit = True
        thread.join()


def ask(url: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """Status and text of an answer."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Content-Type": "application/json", **(headers or {})})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def predicted(url: str, path: str) -> str:
    """What it says to an image at a path."""
    data = [{"path": path, "meta": {"_type": "gradio.FileData"}}, "off", 0.5, 0.0]
    status, text = ask(f"{url}/gradio_api/call/predict", {"data": data})
    return ask(f"{url}/gradio_api/call/predict/{json.loads(text)['event_id']}")[1] if status == 200 else "event: error"


def attack(number: int, seed: int, folder: Path) -> str | None:
    """One question."""
    inputs = shared_inputs(folder)
    image = next((inputs / "scenes" / "unlabelled").rglob("*.jpg"))

    def run() -> str | None:
        with served(inputs / "run") as page:
            uploads = Path(os.environ["GRADIO_TEMP_DIR"])
            problem = _asked(number, page, image, uploads)
        return problem or ("uploads are left" if uploads.exists() else None)

    ended = in_copy(run, seconds=250)
    return ended.value if ended.code == 0 else f"ended with {ended.code}: {ended.said[-300:]}"


def _asked(number: int, page: Any, image: Path, uploads: Path) -> str | None:
    if number < len(ROUTES):
        status, text = ask(page.url + ROUTES[number])
        return f"{ROUTES[number]}: status {status}: {text[:80]}" if status == 200 else None
    number -= len(ROUTES)
    if number < len(PATHS):
        path = PATHS[number].format(image=image, uploads=uploads)
        text = predicted(page.url, path)
        return None if "event: error" in text and "label" not in text else f"{path}: {text[:80]}"
    number -= len(PATHS)
    if number < len(HEADERS):
        status, _ = ask(page.url, headers=HEADERS[number])
        return f"{HEADERS[number]}: status {status}" if status == 200 else None
    number -= len(HEADERS)
    if number == 0:
        address = page.socket.getsockname()[0]
        return None if address == "127.0.0.1" else f"it listens at {address}"
    if number == 1:
        texts: list[str] = []
        threads = [threading.Thread(target=lambda: texts.append(predicted(page.url, str(image)))) for _ in range(MANY)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        right = sum("event: error" in text for text in texts)
        return None if right == MANY else f"{right} of {MANY} questions at once were refused"
    policy = urllib.request.urlopen(page.url, timeout=60).headers.get("content-security-policy", "")
    return None if "default-src 'self'" in policy else f"the policy is {policy!r}"


def prepare(folder: Path) -> None:
    """A run to serve."""
    make_inputs(shared_inputs(folder))


ATTACKS = (Attacks(name="the app", count=COUNT, attack=attack, prepare=prepare),)
