"""Writes images of a folder into tar shards, byte for byte, in the form that WebDataset reads."""

import io
import os
import re
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

from fastitpn.errors import InputError
from fastitpn.files import replacing
from fastitpn.listing import matching


def plan_shards(paths: Sequence[Path], shard_mib: float) -> list[Sequence[Path]]:
    """Cuts a list of files into shards of about `shard_mib`, in their order."""
    shards: list[list[Path]] = [[]]
    room = full = shard_mib * 2**20
    for path in paths:
        size = path.stat().st_size
        if shards[-1] and size > room:
            shards.append([])
            room = full
        shards[-1].append(path)
        room -= size
    return list(shards)


def write_shards(
    paths: Sequence[Path], names: Sequence[str], out: Path, *, shard_mib: float, said: Callable[[str], None]
) -> list[Path]:
    """Writes shards `00000.tar`, ...; those that are there already from the same command stay.

    Args:
        paths: Image files.
        names: Names of the images, see `image_names`; they become the members' names.
        out: Folder for the shards.
        shard_mib: Size of a shard, about.
        said: Told of each shard that was written.

    Returns:
        The shards.

    Raises:
        InputError: The folder holds other shards, or a file cannot be read or written.
    """
    plan = plan_shards(paths, shard_mib)
    targets = [out / f"{number:05}.tar" for number in range(len(plan))]
    strange = sorted(set(matching(out, "*.tar")) - set(targets))
    if strange:
        raise InputError(
            f"the folder has shards of something else, such as {strange[0].name}",
            where=out,
            expected="a new folder, or that of the same command",
            fix="out=ANOTHER_FOLDER",
        )
    begin = 0
    for number, (target, part) in enumerate(zip(targets, plan, strict=True)):
        members = [_member(begin + place, name) for place, name in enumerate(names[begin : begin + len(part)])]
        begin += len(part)
        if target.exists():
            _check_same(target, members)
            continue
        with replacing(target) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for member, path in zip(members, part, strict=True):
                content = _read(path)
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        said(f"{target.name}: {len(part)} images ({number + 1} of {len(plan)})")
    return targets


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path.name} could not be read: {error.strerror or error}",
            where=path,
            expected="an image file",
            fix="fix the file, then run the same command again: it resumes",
        ) from error


def _member(number: int, name: str) -> str:
    """`12_cats/a.b.jpg`: WebDataset takes all before the first dot as the key of a sample, so there is but one dot."""
    stem, suffix = os.path.splitext(name)
    return f"{number:09}_{re.sub(r'[^A-Za-z0-9_-]', '_', stem)}{suffix.lower()}"


def _check_same(shard: Path, members: list[str]) -> None:
    try:
        with tarfile.open(shard, "r:") as archive:
            names = archive.getnames()
    except tarfile.TarError:
        names = []
    if names != members:
        raise InputError(
            f"{shard.name} is there already, with other images",
            where=shard,
            expected="a new folder, or that of the same command",
            fix="out=ANOTHER_FOLDER",
        )
