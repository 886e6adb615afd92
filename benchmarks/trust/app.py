"""The app's endpoints, asked as a hostile page or program asks."""

import contextlib
import functools
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.trust.attacks import Attacks
from benchmarks.trust.bombs import BOMBS
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
HEADERS += (*({"Origin": f"http://{host['Host']}"} for host in HEADERS), {"Origin": "null"})
MANY = 50


@contextlib.contextmanager
def served(checkpoint: Path) -> Iterator[Any]:
    """The page, by a thread."""
    from fastitpn.application.config import AppConfig
    from fastitpn.application.server import serving

    with serving(AppConfig(checkpoint=checkpoint, port=0, device="cpu", top_k=2)) as page:
        thread = threading.Thread(target=page.server.run, kwargs={"sockets": [page.socket]}, daemon=True)
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


_OPEN = contextlib.ExitStack()


@functools.cache
def _page(checkpoint: Path) -> Any:
    """The page that all questions of this process are for."""
    return _OPEN.enter_context(served(checkpoint))


def attack(number: int, seed: int, folder: Path) -> str | None:
    """One question; after the last one the page ends, and its uploads are gone."""
    inputs = shared_inputs(folder)
    image = next((inputs / "scenes" / "unlabelled").rglob("*.jpg"))
    page, uploads = _page(inputs / "run"), Path(os.environ["GRADIO_TEMP_DIR"])
    if number < COUNT - 1:
        return _asked(number, page, image, uploads)
    path = Path(uploaded(page, image.read_bytes(), "a.jpg"))
    there = path.exists()
    _OPEN.close()
    return None if there and not uploads.exists() else "uploads are left"


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
    return OTHERS[number - len(HEADERS)](page, image, uploads)


def uploaded(page: Any, content: bytes, name: str) -> str:
    """Where an image lies that was uploaded."""
    border = "attack"
    head = f'--{border}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = head.encode() + content + f"\r\n--{border}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={border}"}
    request = urllib.request.Request(f"{page.url}/gradio_api/upload", body, kind)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return str(json.loads(answer.read())[0])


def _at_loopback(page: Any, image: Path, uploads: Path) -> str | None:
    address = page.socket.getsockname()[0]
    return None if address == "127.0.0.1" else f"it listens at {address}"


def _many_refused(page: Any, image: Path, uploads: Path) -> str | None:
    right = sum("event: error" in text for text in _at_once(page.url, str(image)))
    return None if right == MANY else f"{right} of {MANY} questions at once were refused"


def _many_answered(page: Any, image: Path, uploads: Path) -> str | None:
    path = uploaded(page, image.read_bytes(), "a.jpg")
    right = sum("event: complete" in text and "labels" in text for text in _at_once(page.url, path))
    return None if right == MANY else f"{right} of {MANY} questions at once were answered"


def _at_once(url: str, path: str) -> list[str]:
    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(lambda _: predicted(url, path), range(MANY)))


def _policy(page: Any, image: Path, uploads: Path) -> str | None:
    policy = urllib.request.urlopen(page.url, timeout=60).headers.get("content-security-policy", "")
    return None if "default-src 'self'" in policy else f"the policy is {policy!r}"


def _named(name: str, page: Any, image: Path, uploads: Path) -> str | None:
    """An image is uploaded under a name that leads elsewhere, or is refused."""
    try:
        path = Path(uploaded(page, image.read_bytes(), name))
    except urllib.error.HTTPError as error:
        return None if error.code == 400 else f"{name!r}: status {error.code}"
    return None if path.resolve().is_relative_to(uploads.resolve()) else f"{name!r} was written to {path}"


def _bomb(name: str, page: Any, image: Path, uploads: Path) -> str | None:
    """A picture that stands for gigabytes is uploaded: a message, and the next question is answered."""
    BOMBS[name][0](uploads / name)
    text = predicted(page.url, uploaded(page, (uploads / name).read_bytes(), name))
    if not any(words in text for words in ("cannot read this image", "cannot use this image", "event: error")):
        return f"{name}: {text[:200]}"
    after = predicted(page.url, uploaded(page, image.read_bytes(), "a.jpg"))
    return None if "labels" in after else f"after {name}: {after[:200]}"


OTHERS = (
    *(_at_loopback, _many_refused, _many_answered, _policy),
    *(
        functools.partial(_named, name)
        for name in ("../../a.jpg", "/tmp/a.jpg", "..", "<img src=x onerror=alert(1)>.jpg")
    ),
    *(functools.partial(_bomb, name) for name, (_, kind) in BOMBS.items() if kind == "image"),
)
COUNT = len(ROUTES) + len(PATHS) + len(HEADERS) + len(OTHERS) + 1


def prepare(folder: Path) -> None:
    """A run to serve."""
    make_inputs(shared_inputs(folder))


ATTACKS = (Attacks(name="the app", count=COUNT, attack=attack, prepare=prepare),)
