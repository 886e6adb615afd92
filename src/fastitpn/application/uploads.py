"""What the page may read and serve: images that were uploaded to it, and nothing else of this machine or of the net."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_FILES = ("/gradio_api/file=", "/gradio_api/file/", "/file=", "/file/")
_CLOSED = ("/gradio_api/proxy=", "/gradio_api/stream", "/gradio_api/component_server", "/gradio_api/vibe-", "/proxy=")
"""Routes of Gradio that fetch from elsewhere or edit the page; it needs none of them."""


def is_upload(path: str | Path, uploads: Path) -> bool:
    """Whether a file, with all links followed, lies in the folder of the uploads."""
    try:
        return Path(path).resolve().is_relative_to(uploads.resolve())
    except (OSError, ValueError):  # loops of links, names with a zero byte
        return False


def take_uploads_alone(gradio: ModuleType, image: Any) -> None:
    """Make an image box read nothing but uploads, and give their path to what is called.

    Gradio looks whether a path that it is sent is an upload only where it starts its own server; and it fetches
    addresses. (In place of a class derived from its own, beside whose source it would write a file of types.)

    Args:
        gradio: The library.
        image: A `gradio.Image`, which is changed.
    """
    uploads, copy, copy_later = (
        Path(image.GRADIO_CACHE),
        image.move_resource_to_block_cache,
        image.async_move_resource_to_block_cache,
    )

    def checked(path: str | Path | None) -> str | None:
        if path is not None and not is_upload(path, uploads):
            raise gradio.Error("only images that were uploaded to this page are read", print_exception=False)
        return None if path is None else str(path)

    async def checked_copy(path: str | Path | None) -> Any:
        return await copy_later(checked(path))

    image.move_resource_to_block_cache = lambda path: copy(checked(path))
    image.async_move_resource_to_block_cache = checked_copy
    # The file as it is: our own reader looks at it, and says what is wrong with it.
    image.preprocess = lambda payload: None if payload is None else checked(payload.path)


class OwnPageAlone:
    """Answers 403 to requests that a page of another site makes: browsers say where a request comes from.

    Args:
        app: What answers the other requests.
        hosts: Names of this machine.
    """

    def __init__(self, app: Application, hosts: Sequence[str]):
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        origins = [value.decode("latin-1") for name, value in scope.get("headers", ()) if name == b"origin"]
        if all(_host_of(origin) in self.hosts for origin in origins):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await _refuse(send, b"this page answers to itself alone")
        else:
            await send({"type": "websocket.close", "code": 1008})


def _host_of(origin: str) -> str | None:
    try:
        return urlsplit(origin).hostname
    except ValueError:
        return None


async def _refuse(send: Send, why: bytes) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": why})


class UploadsAlone:
    """Answers 403 to requests for files that were not uploaded, and for anything of another server.

    Args:
        app: What answers the other requests.
        uploads: Folder of the uploads.
    """

    def __init__(self, app: Application, uploads: Path):
        self.app = app
        self.uploads = uploads

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        path = str(scope.get("path", ""))
        asked = next((path.removeprefix(route) for route in _FILES if path.startswith(route)), None)
        closed = path.startswith(_CLOSED)
        if closed or (asked is not None and not all(is_upload(p, self.uploads) for p in (asked, unquote(asked)))):
            await _refuse(send, b"only what was uploaded to this page is served")
            return
        await self.app(scope, receive, send)
