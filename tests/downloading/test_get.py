"""Fetching from a server on this machine, which behaves well or badly."""

import hashlib
import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from fastitpn.downloading import get as getting
from fastitpn.downloading.get import get
from fastitpn.errors import InputError
from fastitpn.models.weights.cache import fetched
from fastitpn.models.weights.published import PublishedFile, published_file


def torch_file(seed: int = 0) -> bytes:
    torch.manual_seed(seed)
    content = io.BytesIO()
    torch.save({"module": {"weight": torch.randn(300)}}, content)
    return content.getvalue()


CONTENT = torch_file()
PAGE = b"<!DOCTYPE html><html><p class='uc-error-subcaption'>Sorry</p></html>"
QUOTA = b'<!DOCTYPE html>\n<p class="uc-error-subcaption">Too many users have viewed or downloaded this file.</p>'
FORM = (
    b'<!DOCTYPE html>\n<form id="download-form" action="/confirmed" method="get">'
    b'<input type="hidden" name="id" value="A"><input type="hidden" name="confirm" value="t"></form>'
)


class Server(ThreadingHTTPServer):
    """Serves one file; `how` says in what way, and `asked` has what came in."""

    daemon_threads = True
    how = "well"
    content = CONTENT
    broken_after = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/weights.pt"


class Handler(BaseHTTPRequestHandler):
    server: Any

    def log_message(self, *arguments: object) -> None: ...

    def answer(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length != -1:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        server, content, asked = self.server, self.server.content, self.headers.get("Range")
        server.asked.append((self.path, asked))
        how = server.how
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        total = len(content)
        if self.path.startswith("/confirmed"):
            how = "well"
        if how in ("well", "breaks off once", "breaks off always") and start >= total:
            self.answer(416, b"")
        elif how == "well" and asked:
            self.answer(206, content[start:], Content_Range=f"bytes {start}-{total - 1}/{total}")
        elif how in ("well", "ignores ranges"):
            self.answer(200, content)
        elif how == "breaks off once" and asked:
            self.answer(206, content[start:], Content_Range=f"bytes {start}-{total - 1}/{total}")
        elif how in ("breaks off once", "breaks off always") and not asked:
            self.answer(200, content[: total // 2], total)
        elif how == "breaks off always":
            self.answer(206, b"", total - start, Content_Range=f"bytes {start}-{total - 1}/{total}")
        elif how == "breaks off, ignores ranges":
            server.how = "ignores ranges"
            self.answer(200, content[:100], total)
        elif how == "another range":
            self.answer(206, content[1:], Content_Range=f"bytes 1-{total - 1}/{total}") if asked else self.answer(
                200, content[:50], total
            )
        elif how == "says less":
            self.answer(200, content[:-200])
        elif how == "says more":
            self.answer(200, content, total + 100) if not asked else self.answer(416, b"")
        elif how == "says nothing":
            self.answer(200, content, -1)
        elif how == "never ends":
            self.answer(200, content + b"0" * 100_000, -1)
        elif how == "page":
            self.answer(200, PAGE, Content_Type="text/html; charset=utf-8")
        elif how == "page without a type":
            self.answer(200, b"\n" + PAGE)
        elif how == "quota":
            self.answer(200, QUOTA)
        elif how == "form":
            self.answer(200, FORM, Content_Type="text/html", Set_Cookie="asked=1")
        elif how == "text":
            self.answer(200, b"Not what you think it is.\n" * 9)
        elif how == "loop":
            self.answer(302, b"", Location=self.path)
        elif how.startswith("to "):
            self.answer(302, b"", Location=how.removeprefix("to "))
        else:
            self.answer(int(how), b"")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("FASTITPN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def tiny() -> PublishedFile:
    """A file of which neither size nor hash are published."""
    return published_file("tiny")


def known(file: PublishedFile, content: bytes = CONTENT) -> PublishedFile:
    """The same with both."""
    return replace(file, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def names(file: PublishedFile) -> set[str]:
    folder = file.path.parent
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@pytest.mark.parametrize(
    "how", ["well", "breaks off once", "ignores ranges", "breaks off, ignores ranges", "says nothing"]
)
@pytest.mark.parametrize("is_known", [True, False])
def test_a_file_comes_whole(how: str, is_known: bool, server: Server, tiny: PublishedFile) -> None:
    server.how = how
    file = known(tiny) if is_known else tiny
    assert get(file, server.url) == file.path
    assert file.path.read_bytes() == CONTENT
    assert names(file) == {file.file} | (set() if is_known else {f"{file.file}.sha256"})
    assert fetched(file) == file.path
    if "breaks off" in how:
        half = 100 if "ignores" in how else len(CONTENT) // 2
        assert server.asked == [("/weights.pt", None), ("/weights.pt", f"bytes={half}-")]
    asked = len(server.asked)
    assert get(file, server.url) == file.path  # and is not fetched again
    assert len(server.asked) == asked


def test_a_folder_of_copies(server: Server, tiny: PublishedFile) -> None:
    get(tiny, server.url.replace("weights.pt", "copies/"))
    assert server.asked == [("/copies/fast_itpn_tiny_1600e_1k.pt", None)]


def test_a_transfer_goes_on_in_the_next_command(server: Server, tiny: PublishedFile) -> None:
    server.how = "breaks off always"
    with pytest.raises(InputError, match="the server broke off after") as caught:
        get(tiny, server.url)
    assert caught.value.fix == "type the same command again: it resumes there"
    part = tiny.path.with_name(f".{tiny.file}.part")
    assert part.read_bytes() == CONTENT[: len(CONTENT) // 2]
    assert names(tiny) == {part.name}
    with pytest.raises(InputError, match="was not fetched yet") as caught:
        fetched(tiny)
    assert caught.value.fix == "fastitpn weights get tiny"
    server.how, server.asked = "well", []
    get(tiny, server.url)
    assert server.asked == [("/weights.pt", f"bytes={len(CONTENT) // 2}-")]
    assert tiny.path.read_bytes() == CONTENT


def test_more_than_the_server_has_is_dropped(server: Server, tiny: PublishedFile) -> None:
    part = tiny.path.with_name(f".{tiny.file}.part")
    part.parent.mkdir()
    part.write_bytes(CONTENT + b"more")
    get(tiny, server.url)
    assert tiny.path.read_bytes() == CONTENT


REFUSED = [
    ("says less", True, r"the server says that the file has [\d,]+ bytes"),
    ("says less", False, "what the server sent is not .*: the file is damaged"),
    ("says more", True, r"the server says that the file has [\d,]+ bytes"),
    ("never ends", True, "the server sends more bytes than the file has"),
    ("never ends", False, "what the server sent is not .*: the file is damaged"),
    ("page", True, "the server sent a web page in place of"),
    ("page", False, "the server sent a web page in place of"),
    ("page without a type", False, "the server sent a web page in place of"),
    ("text", False, "what the server sent is not .*it is a text file"),
    ("another range", False, "the server sends another part of the file: bytes 1-"),
    ("loop", False, "the server redirects in a loop"),
    ("to file:///etc/hostname", False, "the server redirects to file:///etc/hostname, which is not fetched"),
    ("to FILE:/etc/hostname", True, "the server redirects to FILE:/etc/hostname, which is not fetched"),
    ("to ftp://127.0.0.1/x", False, "the server redirects to ftp://127.0.0.1/x, which is not fetched"),
    ("to data:text/plain,x", False, "the server redirects to data:text/plain,x, which is not fetched"),
    ("to http://192.0.2.1/x", False, "the server redirects to http://192.0.2.1/x, which is not fetched"),
    ("404", False, "the server answers 404 Not Found"),
    ("500", True, "the server answers 500 Internal Server Error"),
    ("304", True, "the server redirects in a loop, or to nowhere"),
]


@pytest.mark.parametrize(("how", "is_known", "text"), REFUSED)
def test_what_is_not_the_file_leaves_nothing(
    how: str, is_known: bool, text: str, server: Server, tiny: PublishedFile
) -> None:
    server.how = how
    file = known(tiny) if is_known else tiny
    with pytest.raises(InputError, match=text) as caught:
        get(file, server.url)
    assert caught.value.where == server.url
    assert caught.value.expected
    assert caught.value.fix
    assert names(file) == set()


def test_a_server_that_says_more_than_it_has(server: Server, tiny: PublishedFile) -> None:
    server.how = "says more"
    with pytest.raises(InputError, match=f"broke off after {len(CONTENT):,} of {len(CONTENT) + 100:,} bytes"):
        get(tiny, server.url)
    assert names(tiny) == {f".{tiny.file}.part"}


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/a.pt", "file:///etc/hostname", "ftp://a.org/b", "a.pt", "https:///a.pt", "http://[::1"]
)
def test_other_addresses(url: str, tiny: PublishedFile, server: Server) -> None:
    with pytest.raises(InputError, match="this address is not fetched from"):
        get(tiny, url)


def test_a_server_that_is_not_there(server: Server, tiny: PublishedFile) -> None:
    with pytest.raises(InputError, match="the server cannot be reached"):
        get(tiny, "http://127.0.0.1:1/a.pt")


def test_a_file_of_this_machine_needs_no_fetching(tiny: PublishedFile, tmp_path: Path) -> None:
    (tmp_path / tiny.file).write_bytes(CONTENT)
    for url in (f"{tmp_path}/", f"file://{tmp_path}/{tiny.file}"):
        with pytest.raises(InputError, match="this address is not fetched from") as caught:
            get(tiny, url)
        here = tmp_path / tiny.file
        assert caught.value.fix == f"weights={here} in the other verbs, or cp {here} {tiny.path}"


def test_without_network_a_browser_can_fetch_it(tiny: PublishedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise InputError("the server cannot be reached", fix="type the same command again later")

    monkeypatch.setattr(getting, "_transfer", refuse)
    monkeypatch.setattr(getting, "drive_address", lambda _: "https://drive.google.com/uc")
    with pytest.raises(InputError, match="cannot be reached") as caught:
        get(tiny)
    assert caught.value.fix == (
        f"type the same command again later; or open {tiny.link} in a browser, on any machine, "
        f"and move the file to {tiny.path}"
    )


def test_another_file_than_published(server: Server, tiny: PublishedFile) -> None:
    file = known(tiny)
    server.content = bytes([*CONTENT[:-1], CONTENT[-1] ^ 1])
    with pytest.raises(InputError, match="has the SHA-256") as caught:
        get(file, server.url)
    assert caught.value.expected == f"{file.sha256}, as published"
    assert names(file) == set()


def test_the_first_hash_is_kept_and_compared(server: Server, tiny: PublishedFile) -> None:
    get(tiny, server.url)
    first = hashlib.sha256(CONTENT).hexdigest()
    assert tiny.sidecar.read_text() == f"{first}  {tiny.file}\n"
    tiny.path.write_bytes(CONTENT[:-4])
    with pytest.raises(InputError, match="this copy of") as caught:
        fetched(tiny)
    assert caught.value.fix == "fastitpn weights get tiny"
    get(tiny, server.url)  # the same file as at first: it takes the place of the damaged one
    assert tiny.path.read_bytes() == CONTENT
    tiny.path.unlink()
    server.content = torch_file(1)
    with pytest.raises(InputError, match="what the server sent is not") as caught:
        get(tiny, server.url)
    assert str(caught.value.fix).endswith(f"to accept this file from now on: rm {tiny.sidecar}")
    assert names(tiny) == {tiny.sidecar.name}


def test_a_file_that_somebody_put_there(server: Server, tiny: PublishedFile) -> None:
    tiny.path.parent.mkdir()
    tiny.path.write_bytes(CONTENT)
    assert fetched(tiny) == tiny.path
    get(tiny, server.url)
    assert server.asked == []
    assert tiny.sidecar.is_file()


def test_a_disk_that_is_full(server: Server, tiny: PublishedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(InputError, match="could not be written: No space left on device") as caught:
        get(tiny, server.url)
    assert caught.value.fix == "FASTITPN_CACHE=FOLDER before the same command"
    assert not tiny.path.exists()


class TestDrive:
    @pytest.fixture(autouse=True)
    def drive(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(getting, "drive_address", lambda file: server.url)

    @pytest.mark.parametrize("is_known", [True, False])
    def test_its_form_is_confirmed(self, is_known: bool, server: Server, tiny: PublishedFile) -> None:
        server.how = "form"
        file = known(tiny) if is_known else tiny
        get(file)
        assert file.path.read_bytes() == CONTENT
        assert server.asked == [("/weights.pt", None), ("/confirmed?id=A&confirm=t", None)]

    @pytest.mark.parametrize(
        ("how", "text"),
        [("quota", "Too many users have viewed or downloaded this file"), ("page", "Cannot retrieve the public link")],
    )
    def test_its_page_of_refusal(self, how: str, text: str, server: Server, tiny: PublishedFile) -> None:
        server.how = how
        with pytest.raises(InputError, match=f"Google Drive sent a page in place of {tiny.file}: {text}") as caught:
            get(tiny)
        assert caught.value.where == tiny.link
        assert str(caught.value.fix).endswith(f"move the file to {tiny.path}")
        assert names(tiny) == set()

    def test_a_form_that_leads_elsewhere(
        self, server: Server, tiny: PublishedFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        server.how = "form"
        monkeypatch.setattr(getting, "confirmed_address", lambda *arguments: "file:///etc/hostname")
        with pytest.raises(InputError, match="which is not fetched"):
            get(tiny)
        monkeypatch.setattr(getting, "confirmed_address", lambda *arguments: server.url)
        with pytest.raises(InputError, match="sent a web page in place of"):
            get(tiny)


def test_without_gdown(monkeypatch: pytest.MonkeyPatch, tiny: PublishedFile) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs gdown") as caught:
        get(tiny)
    assert str(caught.value.fix).startswith("pip install 'fastitpn[download]'")


def test_the_address_on_drive(tiny: PublishedFile) -> None:
    assert getting.drive_address(tiny) == (
        "https://drive.google.com/uc?export=download&id=1Ze9RkJggxxi58Dl7sqWrf2TNOSnRK4Wi"
    )
