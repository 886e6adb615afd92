"""`fastitpn report live`: the report of a run in the browser, loaded again whenever it is written anew."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from fastitpn.application.config import LiveConfig
from fastitpn.application.listening import LOOPBACK, listening
from fastitpn.console import say
from fastitpn.runs.run import REPORT, Run

_NOT_YET = "<!doctype html><title>fastitpn</title><p>No report yet: it comes with the first evaluation of the run.</p>"
_SCRIPT = """
const frame = document.querySelector("iframe");
let shown = null;
async function look() {
  const answer = await fetch("version", {cache: "no-store"}).catch(() => null);
  const version = answer && answer.ok ? await answer.text() : shown;
  if (shown !== null && version !== shown) {
    const y = frame.contentWindow.scrollY;
    frame.addEventListener("load", () => frame.contentWindow.scrollTo({top: y, behavior: "instant"}), {once: true});
    frame.contentWindow.location.reload();
  }
  shown = version;
}
look();
setInterval(look, 2000);
"""
_PAGE = (
    '<!doctype html><html lang="en"><meta charset="utf-8"><title>fastitpn</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<style>html, body, iframe { margin: 0; border: 0; width: 100%; height: 100%; display: block; }</style>"
    f'<iframe src="{REPORT}" title="report"></iframe><script>{_SCRIPT}</script></html>'
)
_HASH = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; frame-src 'self'; connect-src 'self'; script-src 'sha256-{_HASH}'; "
    "style-src 'unsafe-inline'; frame-ancestors 'none'"
)


def run_live(config: LiveConfig) -> None:
    """Serve the report of a run until Ctrl-C.

    Raises:
        InputError: There is no run in the folder, or the port is taken.
    """
    with serving_report(config.run, config.port) as server:
        say(f"the report of {config.run}: http://{LOOPBACK[0]}:{server.server_port} (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("\nEnded.")


@contextmanager
def serving_report(directory: Path, port: int) -> Iterator[ThreadingHTTPServer]:
    """A server of a run's report, on this machine alone; `serve_forever()` answers.

    Raises:
        InputError: There is no run in the folder, or the port is taken.
    """
    report = Run(directory).directory / REPORT

    class Answers(_Answers):
        file = report

    with listening(LOOPBACK[0], port) as listener:
        server = ThreadingHTTPServer(listener.getsockname(), Answers, bind_and_activate=False)
        server.socket.close()
        server.socket = listener
        server.server_name, server.server_port = listener.getsockname()
        yield server


class _Answers(BaseHTTPRequestHandler):
    """The page, the report inside of it, and which version of it there is; nothing else."""

    file: Path
    timeout = 30

    def do_GET(self) -> None:
        """Answer those who call this machine by its own name: a page elsewhere could reach it under another."""
        if self.headers.get("Host", "").rpartition(":")[0] not in LOOPBACK:
            self.send_error(HTTPStatus.BAD_REQUEST)
        elif self.path == "/":
            self._send(_PAGE.encode(), "text/html; charset=utf-8", _POLICY)
        elif self.path == f"/{REPORT}":
            self._send(self._report(), "text/html; charset=utf-8", "frame-ancestors 'self'")
        elif self.path == "/version":
            self._send(self._version().encode(), "text/plain", "default-src 'none'")
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody needs to know of each request."""

    def _report(self) -> bytes:
        return self.file.read_bytes() if self.file.is_file() else _NOT_YET.encode()

    def _version(self) -> str:
        if not self.file.is_file():
            return "none"
        status = self.file.stat()
        return f"{status.st_mtime_ns}-{status.st_size}"

    def _send(self, content: bytes, kind: str, policy: str) -> None:
        self.send_response(HTTPStatus.OK)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(content))),
            ("Content-Security-Policy", policy),
            ("Cache-Control", "no-store"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
