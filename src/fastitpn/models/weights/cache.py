"""Published files that were fetched: whole, and the same as when they were."""

import hashlib
from pathlib import Path

from fastitpn.errors import InputError
from fastitpn.models.weights.published import PREFIX, PublishedFile


def fetched(file: PublishedFile) -> Path:
    """Where a published file lies, after a check that it is there and has not changed since.

    Raises:
        InputError: It is not there, or is another: the text says what to type.
    """
    if not file.path.is_file():
        raise InputError(
            f"{PREFIX}{file.name} was not fetched yet",
            where=file.path,
            expected="the file there: nothing is fetched unless somebody asks for it",
            fix=file.get,
        )
    check_copy(file, file.path)
    return file.path


def check_copy(file: PublishedFile, path: Path) -> None:
    """That a copy of a published file is the one that was published, or fetched first.

    Raises:
        InputError: It is another.
    """
    if file.size is not None and path.stat().st_size != file.size:
        raise InputError(
            f"this copy of {file.file} has {path.stat().st_size:,} bytes",
            where=path,
            expected=f"{file.size:,} bytes, as published",
            fix=file.get,
        )
    wanted, digest = file.expected_sha256, sha256(path) if file.expected_sha256 is not None else None
    if digest != wanted:
        raise InputError(
            f"this copy of {file.file} has the SHA-256 {digest}",
            where=path,
            expected=f"{wanted}, {'as published' if file.sha256 else f'as fetched first ({file.sidecar.name})'}",
            fix=file.get,
        )


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
