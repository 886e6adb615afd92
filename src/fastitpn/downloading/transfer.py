"""The bytes of a file from a server: what came before is kept, and the rest is asked for."""

import http.client
import os
import re
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO
from urllib.error import HTTPError

from fastitpn.errors import InputError

Progress = Callable[[int, int | None], None]
"""Takes the bytes that are there, and how many there are to be, if that is known."""
_CHUNK = 1 << 20
_LARGEST = 8 << 30
"""Bytes that a server may send where nobody knows how many there are."""
_TIMEOUT_S = 60
_PAGE = (b"<!doctype", b"<html", b"<?xml")
_LONGEST_PAGE = 1 << 22
_ANOTHER = "url=https://... of another copy"
_AGAIN = f"type the same command again later, or {_ANOTHER}"


class WebPage(Exception):
    """A server sent a page for people in place of the file; the text is its HTML."""


class _BrokeOff(Exception):
    """The connection ended early."""


def transfer(
    url: str, partial: Path, *, opener: urllib.request.OpenerDirector, size: int | None, progress: Progress
) -> None:
    """Fetch a file, from where an earlier transfer ended.

    Args:
        url: Address of the file.
        partial: File for its bytes, which may have the first of them.
        opener: What opens addresses.
        size: Its bytes; None if they are not known.
        progress: Told of every part that came.

    Raises:
        WebPage: The server sent a page.
        InputError: There is no such file, the server cannot be reached, sends something else, or broke off without a
            byte more than before. What came so far is kept where it can be the beginning of the file.
        OSError: It cannot be written.
    """
    while True:
        before = partial.stat().st_size if partial.exists() else 0
        whole, total = _transfer_once(url, partial, before, opener=opener, size=size, progress=progress)
        done = partial.stat().st_size
        if whole:
            return
        if done <= before:
            raise InputError(
                f"the server broke off after {done:,}{'' if total is None else f' of {total:,}'} bytes",
                where=url,
                expected="all of the file",
                fix="type the same command again: it resumes there",
            )


def _transfer_once(
    url: str, partial: Path, start: int, *, opener: urllib.request.OpenerDirector, size: int | None, progress: Progress
) -> tuple[bool, int | None]:
    """One request: whether the file is whole after it, and its bytes, where they are known."""
    headers = {"User-Agent": "fastitpn", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=headers | ({"Range": f"bytes={start}-"} if start else {}))
    try:
        response = opener.open(request, timeout=_TIMEOUT_S)
    except HTTPError as error:
        error.close()
        if start and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:  # more is here than the server has
            partial.unlink()
            return _transfer_once(url, partial, 0, opener=opener, size=size, progress=progress)
        raise _refused(url, error) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(
            f"the server cannot be reached: {reason}", where=url, expected="a server that answers", fix=_AGAIN
        ) from None
    with response:
        offset, total = _place(response, url, partial, start)
        try:
            first = _first_bytes(response)
            if offset == 0 and _is_page(response, first):
                raise WebPage((first + response.read(_LONGEST_PAGE)).decode(errors="replace"))
        except _BrokeOff:
            return False, total
        if size is not None and total not in (None, size):
            partial.unlink(missing_ok=True)
            raise _wrong_size(url, f"says that the file has {total:,} bytes", size)
        total = total if total is not None else size
        try:
            with partial.open("r+b" if offset else "wb") as file:
                file.truncate(offset)
                file.seek(offset)
                _write(file, response, first, lambda done: progress(done, total), total or _LARGEST)
        except _BrokeOff:
            return False, total
    done = partial.stat().st_size
    if done > (total or _LARGEST):
        partial.unlink()
        raise _wrong_size(url, "sends more bytes than the file has", total or _LARGEST)
    return total is None or done == total, total


def _write(
    file: IO[bytes], response: http.client.HTTPResponse, chunk: bytes, told: Callable[[int], None], limit: int
) -> None:
    """Write what a server sends, until it ends or is more than the limit."""
    try:
        while chunk and file.tell() <= limit:
            file.write(chunk)
            told(file.tell())
            chunk = _read(response)
    finally:
        file.flush()
        os.fsync(file.fileno())


def _first_bytes(response: http.client.HTTPResponse) -> bytes:
    """The first bytes of an answer, enough of them to tell a page; no more where it ends."""
    first = chunk = _read(response)
    while chunk and len(first) < 64:
        chunk = _read(response)
        first += chunk
    return first


def _is_page(response: http.client.HTTPResponse, first: bytes) -> bool:
    return response.headers.get_content_type() == "text/html" or first.lstrip()[:9].lower().startswith(_PAGE)


def _read(response: http.client.HTTPResponse) -> bytes:
    """The next bytes; none at the end."""
    try:
        return response.read1(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokeOff from error


def _place(response: http.client.HTTPResponse, url: str, partial: Path, start: int) -> tuple[int, int | None]:
    """Where the bytes of an answer begin in the file, and how many the file has."""
    if response.status != http.client.PARTIAL_CONTENT:  # all of the file, whatever was asked for
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    if match is None or int(match[1]) != start:
        partial.unlink(missing_ok=True)
        raise InputError(
            f"the server sends another part of the file: {response.headers.get('Content-Range')}",
            where=url,
            expected=f"its bytes from {start:,} on",
            fix="type the same command again: it begins anew",
        )
    return start, int(match[2]) if match[2] != "*" else None


def _wrong_size(url: str, what: str, size: int) -> InputError:
    return InputError(f"the server {what}", where=url, expected=f"{size:,} bytes", fix=_ANOTHER)


def _refused(url: str, error: HTTPError) -> InputError:
    if 300 <= error.code < 400:  # other redirects were followed
        return InputError("the server redirects in a loop, or to nowhere", where=url, expected="the file", fix=_ANOTHER)
    return InputError(f"the server answers {error.code} {error.reason}", where=url, expected="the file", fix=_AGAIN)
