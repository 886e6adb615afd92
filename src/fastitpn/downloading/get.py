"""`fastitpn weights get`: a published file into the cache, whole and checked, or not at all."""

import os
from pathlib import Path
from urllib.parse import quote
from urllib.request import OpenerDirector

from fastitpn.console import say
from fastitpn.downloading.addresses import check_address, opener_for
from fastitpn.downloading.drive import confirmed_address, drive_address
from fastitpn.downloading.progress import bar
from fastitpn.downloading.transfer import WebPage, transfer
from fastitpn.errors import InputError
from fastitpn.files import write_text
from fastitpn.models.weights.cache import check_copy, sha256
from fastitpn.models.weights.published import FOLDER_VARIABLE, PublishedFile
from fastitpn.models.weights.reading import read_content


def get(file: PublishedFile, url: str | None = None) -> Path:
    """Fetch a published file into the cache, unless it is there.

    Args:
        file: The file.
        url: Address of a copy, or with a "/" at its end of the folder that it is in; None fetches it from Google Drive.

    Returns:
        Where it lies.

    Raises:
        InputError: It cannot be fetched, or is another file. Where a server breaks off, what came is kept under another
            name, and the next call goes on from there.
    """
    if file.path.is_file():
        try:
            _check(file, file.path)
        except InputError as error:
            say(f"{error.what}: it is fetched again")
        else:
            say(f"{file.path} is there already")
            return file.path
    source = drive_address(file) if url is None else f"{url}{quote(file.file)}" if url.endswith("/") else url
    opener = _opener(file, source)
    partial = file.path.with_name(f".{file.file}.part")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        try:
            _transfer(file, source, partial, opener, from_drive=url is None)
        except InputError as error:
            raise (_with_browser(file, error) if url is None else error) from None
        try:
            _check(file, partial)
        except InputError as error:
            partial.unlink()
            raise _another(file, source, error) from None
        os.replace(partial, file.path)
    except OSError as error:  # of the disk: those of the network have become InputErrors
        raise InputError(
            f"{file.file} could not be written: {error.strerror or error}",
            where=partial.parent,
            expected="a folder to write to, with room for the file",
            fix=f"{FOLDER_VARIABLE}=FOLDER before the same command",
        ) from None
    say(f"fetched {file.path}: {file.path.stat().st_size:,} bytes, SHA-256 {file.expected_sha256}")
    return file.path


def _opener(file: PublishedFile, source: str) -> OpenerDirector:
    """What opens the address.

    Raises:
        InputError: It is none that is fetched from, such as a file of this machine.
    """
    try:
        return opener_for(source)
    except InputError as error:
        here = Path(source.removeprefix("file://"))
        fix = f"weights={here} in the other verbs, or cp {here} {file.path}" if here.is_file() else error.fix
        raise InputError(error.what, where=error.where, expected=error.expected, fix=fix) from None


def _with_browser(file: PublishedFile, error: InputError) -> InputError:
    """An error of Google Drive or of the way there, with what a person can do without this program."""
    if error.fix is not None and str(file.path) in error.fix:
        return error
    fix = f"{error.fix}; or open {file.link} in a browser, on any machine, and move the file to {file.path}"
    return InputError(error.what, where=error.where, expected=error.expected, fix=fix)


def _transfer(file: PublishedFile, source: str, partial: Path, opener: OpenerDirector, *, from_drive: bool) -> None:
    """Fetch the bytes, through the page of Google Drive if there is one."""
    address, pages = source, 0
    with bar(file.name) as progress:
        while True:
            try:
                return transfer(address, partial, opener=opener, size=file.size, progress=progress)
            except WebPage as page:
                html, pages = str(page), pages + 1
            if not from_drive or pages > 1:
                raise InputError(
                    f"the server sent a web page in place of {file.file}",
                    where=address,
                    expected="the file itself",
                    fix="open the address in a browser to see why, and give the file's own: url=https://...",
                )
            address = confirmed_address(html, address, file)
            check_address(address, source)


def _check(file: PublishedFile, path: Path) -> None:
    """That a copy is the file; of the first copy of one whose hash is not published the hash is stored.

    Raises:
        InputError: It is another, or no file of weights.
    """
    check_copy(file, path)
    if file.expected_sha256 is None:
        read_content(path)
        write_text(file.sidecar, f"{sha256(path)}  {file.file}\n")


def _another(file: PublishedFile, source: str, error: InputError) -> InputError:
    fix = "url=https://... of another copy"
    if file.sha256 is None and file.sidecar.is_file():
        fix += f"; or, to accept this file from now on: rm {file.sidecar}"
    return InputError(
        f"what the server sent is not {file.file}: {error.what}", where=source, expected=error.expected, fix=fix
    )
