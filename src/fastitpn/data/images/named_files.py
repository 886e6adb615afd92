"""Finds the files that labels name, as labelling tools and other machines have written the names."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from fastitpn.data.debris import is_left_out
from fastitpn.data.images.kinds import EXTENSIONS
from fastitpn.listing import children, walk


def nfc(text: str) -> str:
    """Text in the Unicode form in which names are compared."""
    return unicodedata.normalize("NFC", text)


_FORMS = {"another Unicode form": nfc, "another case": lambda text: nfc(text).casefold()}
_DRIVE = re.compile(r"[A-Za-z]:/")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://?", re.IGNORECASE)


class NamedFiles:
    r"""Looks for files by their names in labels; a file of the same name in another folder is never taken.

    A name is looked for as it is written; then with `/` for `\\`, in another Unicode form or another case, and
    percent-decoded without a query. A path of another machine (absolute, a URL, or one that begins with `..`) is looked
    for by its last parts, its base name alone only where no other name shares it. A name that lacks its suffix is that
    of the only image in its folder with this name.

    Args:
        folders: Where names may begin, in the order in which they are tried; in the first one, the letters of names
            may be in another form.
        names: All names that the labels have.

    Attributes:
        ways: How many files were found in another way than as they are written, by what differs.
    """

    def __init__(self, folders: Sequence[Path], names: Iterable[str] = ()):
        self.folders = list(dict.fromkeys(folders))
        self.ways: Counter[str] = Counter()
        self._base_names = Counter(_posix(name).rsplit("/", 1)[-1] for name in set(names))
        self._stems: dict[Path, dict[str, list[Path]]] = {}
        self._indexes: dict[Path, dict[str, dict[str, list[Path]]]] = {}

    def find(self, name: str) -> Path | None:
        """The file of a name; None if there is none."""
        for way, text in self._spellings(name):
            if (path := self._exact(text)) is not None:
                if way:
                    self.ways[way] += 1
                return path
        for way, text in self._spellings(name):
            for letters, form in _FORMS.items():
                paths = self._index(self.folders[0])[letters].get(form(str(PurePosixPath(text))), ())
                if len(paths) == 1:
                    self.ways[f"{way}, {letters}" if way else letters] += 1
                    return paths[0]
        for way, text in self._spellings(name):
            if (path := self._without_suffix(text)) is not None:
                self.ways[f"{way}, without a suffix" if way else "without a suffix"] += 1
                return path
        return None

    def line(self) -> str | None:
        """What to say of files that were found in another way; None if all names are as they are written."""
        if not self.ways:
            return None
        return "files found under other names than written: " + "; ".join(
            f"{count} ({way})" for way, count in self.ways.most_common()
        )

    def _spellings(self, name: str) -> Iterator[tuple[str, str]]:
        """What differs, and a name to look for; the plainest first."""
        yield "", name
        posix = _posix(name)
        if posix != name:
            yield "/ for \\", posix
        decoded = _decoded(posix)
        if decoded != posix:
            yield "percent-decoded, without a query", decoded
        for text in dict.fromkeys((posix, decoded)):
            if not _is_foreign(text):
                continue
            scheme = _SCHEME.match(text)
            rest = text[scheme.end() :] if scheme else text
            parts = [part for part in PurePosixPath(rest).parts if part not in ("/", "..", ".")]
            for start in range(len(parts)):
                if start < len(parts) - 1 or self._base_names[_posix(name).rsplit("/", 1)[-1]] <= 1:
                    yield "a path of another machine", "/".join(parts[start:])

    def _exact(self, text: str) -> Path | None:
        paths = (folder / text for folder in self.folders) if text else ()
        return next(filter(os.path.isfile, paths), None)  # False, and no error, for what no file can be called

    def _without_suffix(self, text: str) -> Path | None:
        """The only image in its folder of a name that lacks its suffix."""
        place = PurePosixPath(text)
        if not place.name or "\0" in text or place.suffix.lower() in EXTENSIONS:
            return None
        for folder in self.folders:
            inside = folder / place.parent
            if inside not in self._stems:
                self._stems[inside] = _stems(inside)
            if len(paths := self._stems[inside].get(nfc(place.name), [])) == 1:
                return paths[0]
        return None

    def _index(self, folder: Path) -> dict[str, dict[str, list[Path]]]:
        """The files below a folder by their names in each of the forms."""
        if folder not in self._indexes:
            index: dict[str, dict[str, list[Path]]] = {letters: {} for letters in _FORMS}
            for root, folders, files in walk(folder):
                folders[:] = [name for name in folders if not name.startswith(".")]
                for path in (Path(root, file) for file in files):
                    for letters, form in _FORMS.items():
                        index[letters].setdefault(form(path.relative_to(folder).as_posix()), []).append(path)
            self._indexes[folder] = index
        return self._indexes[folder]


def _stems(folder: Path) -> dict[str, list[Path]]:
    """The images in a folder by their names without suffixes."""
    result: dict[str, list[Path]] = {}
    try:
        names = [path.name for path in children(folder)]
    except (OSError, ValueError):
        return result
    for name in names:
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in EXTENSIONS and not is_left_out(name):
            result.setdefault(nfc(stem), []).append(folder / name)
    return result


def _posix(name: str) -> str:
    return name.strip().replace("\\", "/")


def _decoded(text: str) -> str:
    """Percent-decoded and without a query; of `/data/local-files/?d=a/b.jpg`, what the query names."""
    url = urlsplit(text, allow_fragments=False) if _SCHEME.match(text) or "?" in text else None
    if url is None:
        return unquote(text)
    named = parse_qs(url.query).get("d")
    path = unquote(url.path)
    return (
        f"/{named[0]}" if named and path.endswith("/") else f"{url.scheme}://{url.netloc}{path}" if url.scheme else path
    )


def _is_foreign(text: str) -> bool:
    """Whether a name is a path from the root of some machine, a URL, or leads out of its folder."""
    return text.startswith(("/", "../")) or bool(_SCHEME.match(text) or _DRIVE.match(text))
