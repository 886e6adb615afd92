"""The page, served and asked as a browser asks it."""

import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import forking
import pytest
from tiny_runs import ENVIRONMENT

import fastitpn
from fastitpn.application.config import AppConfig
from fastitpn.application.server import ServedPage, serving
from fastitpn.cli.main import main
from fastitpn.errors import InputError


@pytest.fixture(scope="module")
def page(classifier_run):
    """A page that is served by a thread."""
    with serving(AppConfig(checkpoint=classifier_run.directory, port=0, device="cpu", top_k=2)) as page:
        thread = threading.Thread(target=page.server.run, kwargs={"sockets": [page.socket]})
        thread.start()
        while not page.server.started:
            time.sleep(0.05)
        yield page
        page.server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def client(page: ServedPage, tmp_path_factory: pytest.TempPathFactory):
    from gradio_client import Client

    client = Client(page.url, verbose=False, download_files=str(tmp_path_factory.mktemp("downloads")))
    yield client
    client.close()


def ask(client, path: Path, *controls):
    from gradio_client import handle_file

    return client.predict(handle_file(path), *controls, api_name="/predict")


def test_the_answer_is_that_of_the_predictor(client, classifier_run, scenes):
    image = next(scenes.val.rglob("*.jpg"))
    picture, summary, tokens, found = ask(client, image, "balanced", 0.4, 0.5)
    [expected] = fastitpn.load(classifier_run.directory, "balanced", device="cpu")(image, 2)
    assert found["labels"] == list(expected.labels)
    assert found["scores"] == pytest.approx(expected.scores, abs=1e-5)
    assert picture is None  # a classifier draws nothing into the image
    assert expected.labels[0] in summary
    assert re.search(r"[\d.]+ ms.*[\d.]+x", summary)
    assert "tokens that left" in tokens


def test_what_is_no_image_gives_a_message(client, tmp_path):
    (tmp_path / "a.png").write_bytes(b"none")
    picture, summary, _, found = ask(client, tmp_path / "a.png", "off", 0.5, 0.5)
    assert picture is None
    assert 'role="alert"' in summary
    assert "cannot read this image: not an image in a known format" in summary
    assert str(tmp_path) not in summary
    assert found == {"error": "cannot read this image: not an image in a known format"}


def call(page: ServedPage, payload: dict) -> str:
    """What the page answers to a client that says itself where the image lies."""
    body = json.dumps({"data": [payload, "off", 0.5, 0.0]}).encode()
    asked = urllib.request.Request(page.url + "/gradio_api/call/predict", body, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    event = json.load(opener.open(asked, timeout=30))["event_id"]
    return opener.open(f"{page.url}/gradio_api/call/predict/{event}", timeout=30).read().decode()


@pytest.mark.parametrize("more", [{}, {"is_stream": True}, {"url": "x"}], ids=["plain", "stream", "url"])
@pytest.mark.parametrize("kind", ["absolute", "link", "above", "address"])
def test_only_uploads_are_read(page, scenes, tmp_path, kind, more):
    image = tmp_path.resolve() / "not-uploaded.jpg"
    image.write_bytes(next(scenes.val.rglob("*.jpg")).read_bytes())
    uploads = Path(os.environ["GRADIO_TEMP_DIR"])
    (uploads / "link").unlink(missing_ok=True)
    (uploads / "link").symlink_to(image)
    path = {
        "absolute": str(image),
        "link": str(uploads / "link"),
        "above": f"{uploads}/{'../' * 12}{str(image)[1:]}",
        "address": "http://127.0.0.1:9/a.png",
    }[kind]
    said = call(page, {"path": path, "meta": {"_type": "gradio.FileData"}, **more})
    assert "event: error" in said
    assert "label" not in said
    assert not any(file.name == image.name for file in uploads.rglob("*"))  # nor copied to where it would be served


@pytest.mark.parametrize(
    "route",
    [
        "/gradio_api/file=/etc/hostname",
        "/gradio_api/file=%2Fetc%2Fhostname",
        "/gradio_api/file=pyproject.toml",
        "/gradio_api/file/etc/hostname",
        "/gradio_api/file=http://127.0.0.1:9/a.png",
        "/gradio_api/file=%2e%2e/%2e%2e/etc/hostname",
        "/gradio_api/proxy=http://127.0.0.1:9/a.png",
    ],
)
def test_only_uploads_are_served(page, route):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        fetch(page, route)


def test_it_listens_at_this_machine_alone(page):
    assert page.socket.getsockname()[0] == "127.0.0.1"
    assert page.url == f"http://127.0.0.1:{page.socket.getsockname()[1]}"


def test_a_page_elsewhere_cannot_reach_it_under_another_name(page):
    with pytest.raises(urllib.error.HTTPError, match="400"):
        fetch(page, "/", Host="elsewhere.example")


@pytest.mark.parametrize(
    "origin", ["http://elsewhere.example", "null", "http://127.0.0.1.elsewhere.example", "http://["]
)
def test_a_page_elsewhere_gets_no_answer(page, origin):
    with pytest.raises(urllib.error.HTTPError, match="403"):
        fetch(page, "/gradio_api/info", Origin=origin)


def test_the_page_itself_gets_answers(page):
    for name in ("127.0.0.1", "localhost"):
        assert fetch(page, "/gradio_api/info", Origin=f"http://{name}:1234").status == 200


def test_browsers_are_told_to_load_nothing_from_elsewhere(page):
    response = fetch(page, "/")
    assert "default-src 'self'" in response.headers["content-security-policy"]
    text = response.read().decode()
    loaded = re.findall(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["'](https?://[^"']+)""", text)
    assert [url for url in loaded if not url.startswith(page.url)] == []
    style = fetch(page, "/theme.css").read().decode()
    assert not re.search(r"@import|url\(['\"]?https?:", style)


def fetch(page: ServedPage, path: str, **headers: str):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(urllib.request.Request(page.url + path, headers=headers), timeout=30)


def test_nothing_is_reported_to_anyone(page):
    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    import gradio

    assert gradio.analytics.analytics_enabled() is False


def test_a_taken_port(classifier_run, capsys):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert main(["app", str(classifier_run.directory), f"port={port}", "device=cpu"]) == 2
    said = capsys.readouterr().err
    assert f"cannot listen at 127.0.0.1:{port}" in said
    assert "port=0 for a free port" in said


def test_without_the_library(classifier_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(InputError, match=r"pip install 'fastitpn\[app\]'"):
        fastitpn.app(classifier_run.directory, port=0)


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_ends_it_with_a_clean_line(classifier_run):
    command = [sys.executable, "-u", "-m", "fastitpn.cli", "app", str(classifier_run.directory), "port=0", "device=cpu"]
    with forking.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        lines = iter(process.stdout.readline, "")
        assert any("http://127.0.0.1:" in line for line in lines)
        time.sleep(1)  # the line comes before the server has its handlers
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest.strip(), errors) == (0, "Ended.", "")


def test_it_leaves_nothing_behind(classifier_run):
    with serving(AppConfig(checkpoint=classifier_run.directory, port=0, device="cpu")) as page:
        uploads = Path(os.environ["GRADIO_TEMP_DIR"])
        assert uploads.is_dir()
    assert not uploads.exists()
    assert page.socket.fileno() == -1
    gc.collect()  # under `error` a loop that is still open would fail here
