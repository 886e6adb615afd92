"""Which addresses are fetched from, also where a server redirects to another."""

import ipaddress
import urllib.request
from http.client import HTTPMessage
from http.cookiejar import CookieJar
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

from fastitpn.errors import InputError


def check_address(url: str, source: str) -> None:
    """That an address is https, or http on this machine.

    Args:
        url: The address.
        source: The one that was asked for, which may have led to it.

    Raises:
        InputError: It is another.
    """
    scheme, host = _parts(url)
    if host and (scheme == "https" or (scheme == "http" and _is_local(host) and _is_local(_parts(source)[1]))):
        return
    raise InputError(
        "this address is not fetched from" if url == source else f"the server redirects to {url}, which is not fetched",
        where=source,
        expected="https://..., or http://... on this machine",
        fix="url=https://... of another copy",
    )


def opener_for(source: str) -> urllib.request.OpenerDirector:
    """What opens an address and those that it leads to; it keeps cookies as long as it is there.

    Raises:
        InputError: The address is not one that is fetched from.
    """
    check_address(source, source)
    return urllib.request.build_opener(_Redirects(source), urllib.request.HTTPCookieProcessor(CookieJar()))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to such addresses alone; too many end in an `HTTPError`."""

    def __init__(self, source: str):
        self._source = source

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> Any:
        """Follow one."""
        target = headers.get("location") or headers.get("uri")
        try:
            if target is not None:
                check_address(urljoin(req.full_url, target), self._source)
        except InputError:
            fp.close()
            raise
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


def _parts(url: str) -> tuple[str, str]:
    """Scheme and host, empty where it has none."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or ""
    except ValueError:
        return "", ""


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
