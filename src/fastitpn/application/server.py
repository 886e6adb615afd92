"""`fastitpn app`: serves the page, on this machine alone unless asked otherwise."""

import asyncio
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from fastitpn.application.answers import Answers
from fastitpn.application.config import AppConfig
from fastitpn.application.listening import LOOPBACK, listening
from fastitpn.application.markup import STYLE
from fastitpn.application.models import open_model
from fastitpn.application.page import build_page, build_theme
from fastitpn.application.uploads import Application, Message, OwnPageAlone, Receive, Send, UploadsAlone
from fastitpn.console import say
from fastitpn.data.images.reading import reads_images
from fastitpn.errors import InputError
from fastitpn.runs.run import CHECKPOINTS

_SILENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_RUN_HISTORY": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)
"""What browsers may load: nothing from anywhere else."""


@reads_images
def run_app(config: AppConfig) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        InputError: The checkpoint cannot be read, the library is not installed, or the address cannot be listened at.
    """
    with serving(config) as page:
        say(f"{page.title} ({', '.join(page.answers.model.facts)}): {page.url} (Ctrl-C ends it)")
        if config.host not in LOOPBACK:
            say(f"everyone who can reach {config.host} can use it: there is no password")
        try:
            page.server.run(sockets=[page.socket])
        except KeyboardInterrupt:
            say("\nEnded.")


@dataclass(frozen=True, kw_only=True)
class ServedPage:
    """A page that can be served.

    Attributes:
        title: Name of the run, or of the file.
        url: Address that a browser opens.
        server: A `uvicorn.Server`; `run(sockets=[socket])` serves, `should_exit = True` ends that.
        socket: The bound socket, which listens already.
        answers: Predict with the model that the page is about.
    """

    title: str
    url: str
    server: Any
    socket: socket.socket
    answers: Answers


@contextmanager
def serving(config: AppConfig) -> Iterator[ServedPage]:
    """Everything that serves the page; uploaded images are deleted at the end.

    Raises:
        InputError: The checkpoint cannot be read, the library is not installed, or the address cannot be listened at.
    """
    with (
        tempfile.TemporaryDirectory(prefix="fastitpn-app-") as uploads,
        listening(config.host, config.port) as listener,
    ):
        gradio, uvicorn = _libraries(uploads)
        answers = Answers.of(open_model(config))
        port = listener.getsockname()[1]
        title = _name(config.checkpoint)
        app = asyncio.run(_application(gradio, answers, title, config.host, port, Path(uploads)))
        options = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, access_log=False)
        yield ServedPage(
            title=title,
            url=f"http://{config.host}:{port}",
            server=uvicorn.Server(options),
            socket=listener,
            answers=answers,
        )


def _libraries(uploads: str) -> tuple[ModuleType, ModuleType]:
    os.environ.update({**_SILENT, "GRADIO_TEMP_DIR": uploads})  # Gradio reads them while it is imported
    try:
        import gradio
        import uvicorn
    except ImportError as error:
        raise InputError(
            "the page needs a package that is not installed",
            where=error.name,
            expected="the package gradio",
            fix="pip install 'fastitpn[app]'",
        ) from error
    return gradio, uvicorn


async def _application(gradio: ModuleType, answers: Answers, title: str, host: str, port: int, uploads: Path) -> Any:
    # Nothing here waits, but where no event loop runs Gradio makes some, and leaves them open.
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    app = FastAPI(openapi_url=None)
    app.add_middleware(UploadsAlone, uploads=uploads)
    app.add_middleware(_Policy)
    if host in LOOPBACK:  # else a page elsewhere could reach this one under a name of its own
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOOPBACK))
        app.add_middleware(OwnPageAlone, hosts=LOOPBACK)
    return gradio.mount_gradio_app(
        app,
        build_page(gradio, answers, title),
        path="/",
        server_name=host,
        server_port=port,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        theme=build_theme(gradio),
        css=STYLE,
    )


class _Policy:
    """Tells browsers to load nothing from anywhere else."""

    def __init__(self, app: Application):
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [
                    *message["headers"],
                    (b"content-security-policy", _POLICY.encode()),
                    (b"referrer-policy", b"no-referrer"),
                ]
            await send(message)

        await self.app(scope, receive, send_with_policy)


def _name(checkpoint: Path) -> str:
    """Name of a run, or of a file in none."""
    path = checkpoint.absolute()
    return path.parent.parent.name if path.parent.name == CHECKPOINTS else path.stem if path.is_file() else path.name
