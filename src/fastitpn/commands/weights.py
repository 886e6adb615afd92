"""`fastitpn weights`: the published files, and the verb that fetches them. No other verb fetches anything."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fastitpn.commands.verb import Verb
from fastitpn.config import Config, build
from fastitpn.console import say
from fastitpn.errors import FastITPNError, InputError
from fastitpn.models.weights.published import PUBLISHED, PublishedFile, published_file

ALL = "all"


@dataclass(frozen=True, kw_only=True)
class WeightsConfig(Config):
    """Published files."""

    _command: ClassVar[str] = "weights"
    _positional: ClassVar[tuple[str, ...]] = ("name",)

    name: str | None = None
    """Name of a file, such as base; without a name all are listed."""


@dataclass(frozen=True, kw_only=True)
class WeightsPathConfig(Config):
    """Published file."""

    _command: ClassVar[str] = "weights path"
    _positional: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    """Name of the file, such as base, as `fastitpn weights` lists them."""


@dataclass(frozen=True, kw_only=True)
class WeightsGetConfig(Config):
    """Published file."""

    _command: ClassVar[str] = "weights get"
    _positional: ClassVar[tuple[str, ...]] = ("name",)

    name: str
    """Name of the file, such as base, as `fastitpn weights` lists them; all fetches all."""
    url: str | None = None
    """Address of a copy (https), or of the folder with the files if it ends with /; none is Google Drive."""


LIST = Verb(
    config=WeightsConfig,
    sentence="List the published files of weights, with their results, and say which of them are here.",
    example="fastitpn weights",
    run="fastitpn.commands.weights:run_list",
)
GET = Verb(
    config=WeightsGetConfig,
    sentence="Fetch a published file of weights for weights=published:NAME.",
    example="fastitpn weights get base",
    run="fastitpn.commands.weights:run_get",
)
PATH = Verb(
    config=WeightsPathConfig,
    sentence="Print the path of a published file of weights.",
    example="fastitpn weights path base",
    run="fastitpn.commands.weights:run_path",
)


def weights(action: str = "list", name: str | None = None, **keys: Any) -> Sequence[PublishedFile]:
    """List the published files of weights, fetch one, or say where it lies.

    Args:
        action: "list", "get" or "path".
        name: Name of a file, such as "base"; to get, "all" is each of them.
        **keys: As on the command line (`fastitpn weights get --help`): `url`.

    Returns:
        The files; each has a `path` in the cache.

    Raises:
        InputError: There is no such file or key, or the file cannot be fetched.
        FastITPNError: Some of all files cannot be fetched.
    """
    verbs = {"list": LIST, "get": GET, "path": PATH}
    if action not in verbs:
        raise InputError(f"no action {action!r}", expected="list, get or path", fix='weights("get", "base")')
    files: Sequence[PublishedFile] = verbs[action](
        build(verbs[action].config, keys if name is None else {"name": name, **keys})
    )
    return files


def run_list(config: WeightsConfig) -> Sequence[PublishedFile]:
    """Say what was published, and how to have it.

    Raises:
        InputError: There is no file of that name.
    """
    files = PUBLISHED if config.name is None else (published_file(config.name),)
    for file in files:
        about = ", ".join(
            (file.link, f"{file.size:,} bytes" if file.size else "size not known", f"SHA-256 {_hash(file)}")
        )
        here = str(file.path) if file.path.is_file() else f"not here: {file.get}"
        px = f"{file.px} px" if file.px else "px not known"
        say(f"{file.name}: {file.file}, for {file.model}: {file.what}, {px}")
        say("\n".join(f"    {line}" for line in (file.figure, about, here)))
    say("\nweights=published:NAME uses a file that was fetched.")
    return files


def _hash(file: PublishedFile) -> str:
    if file.sha256 is None and file.expected_sha256 is not None:
        return f"{file.expected_sha256} (as fetched first)"
    return file.sha256 or "not known"


def run_path(config: WeightsPathConfig) -> Sequence[PublishedFile]:
    """Print where a file lies.

    Raises:
        InputError: There is none of that name, or it was not fetched.
    """
    from fastitpn.models.weights.cache import fetched

    file = published_file(config.name)
    say(str(fetched(file)))
    return (file,)


def run_get(config: WeightsGetConfig) -> Sequence[PublishedFile]:
    """Fetch a file, or all.

    Raises:
        InputError: There is none of that name, or it cannot be fetched.
        FastITPNError: Some of all cannot be.
    """
    from fastitpn.downloading.get import get

    if config.name != ALL:
        file = published_file(config.name)
        get(file, config.url)
        return (file,)
    if config.url is not None and not config.url.endswith("/"):
        raise InputError(
            f"url={config.url} for all files",
            expected="the address of the folder that has them",
            fix=f"url={config.url}/",
        )
    failed = []
    for file in PUBLISHED:
        try:
            get(file, config.url)
        except InputError as error:
            failed.append(file.name)
            say(f"{file.name}: {error}", error=True)
    if failed:
        raise FastITPNError(f"{len(failed)} of {len(PUBLISHED)} files could not be fetched: {', '.join(failed)}")
    return PUBLISHED
