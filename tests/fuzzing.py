"""Damages files of labels at random, with a seed: a reader of them raises the project's own error, or none."""

import csv
import io
import json
import random
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

from fastitpn.errors import InputError

MOST_S = 2.0
MOST_MIB = 512
"""What reading a damaged file may take."""
ODD = [None, True, False, 0, -1, 2**63, 1e308, float("nan"), float("inf"), "", " ", "0", "-1", "1e3", "nan", "no"]
ODD += [
    "\0",
    "\ufeff",
    "a\\b",
    "../../x",
    "/",
    ".",
    "ä",
    "a\u0308",
    "\ud800",
    "x" * 5000,
    [],
    {},
    [[]],
    [1, 2],
    {"a": 1},
]
TOKENS = [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3\x28", b"\r", b"\n\n", b'"', b"'", b",", b";", b"\t", b"|", b"\\"]
TOKENS += [b"{", b"]", b"<", b"&", b"#", b"%00", b"-1", b"1e999", b"nan", b"[" * 2000, b"<a>" * 500, b"- " * 500]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Files of labels that are right, and what reads them.

    Attributes:
        files: Content by path within a folder; those whose suffix is in `damaged` are damaged, one at a time.
        read: Reads the folder, in the way that doctor and training do.
        damaged: Suffixes.
    """

    files: Mapping[str, bytes]
    read: Callable[[Path], object]
    damaged: tuple[str, ...] = (".csv", ".json", ".txt", ".xml", ".yaml", ".names", ".data")


def check_reading(labels: Labels, folder: Path, rounds: int, seed: int = 0) -> None:
    """Damages a file, reads the folder and puts the file back, `rounds` times.

    Raises:
        AssertionError: Another error than InputError came out, or it took too long or too much memory; it says which
            round of which seed, and the damaged file stays in the folder.
    """
    for name, content in labels.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    labels.read(folder)  # right at first
    names = [name for name in labels.files if Path(name).suffix in labels.damaged]
    peak = _peak_mib()
    for number in range(rounds):
        rng = random.Random(f"{seed} {number}")
        name = rng.choice(names)
        damaged = damage(labels.files[name], Path(name).suffix, rng)
        (folder / name).write_bytes(damaged)
        started = time.process_time()
        try:
            labels.read(folder)
        except InputError as error:
            str(error)
        except Exception as error:
            raise AssertionError(f"round {number} of seed {seed}: {folder / name}: {damaged[:500]!r}") from error
        assert time.process_time() - started < MOST_S, f"round {number} of seed {seed} is slow: {folder / name}"
        assert _peak_mib() - peak < MOST_MIB, f"round {number} of seed {seed} needs memory: {folder / name}"
        (folder / name).write_bytes(labels.files[name])


def damage(content: bytes, suffix: str, rng: random.Random) -> bytes:
    """The content with one to three damages: of bytes, or of what the suffix says that it is made of."""
    for _ in range(rng.randint(1, 3)):
        parts = _STRUCTURES.get(suffix, _damage_text)
        try:
            content = parts(content, rng) if rng.random() < 0.7 else _damage_bytes(content, rng)
        except (ValueError, RecursionError, ElementTree.ParseError, yaml.YAMLError, csv.Error):  # too damaged by now
            content = _damage_bytes(content, rng)
    return content


def _damage_bytes(content: bytes, rng: random.Random) -> bytes:
    start, end = sorted(rng.randint(0, len(content)) for _ in range(2))
    kind = rng.randrange(5)
    if kind == 0 and content:
        place = rng.randrange(len(content))
        return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]
    if kind == 1:
        return content[:start]
    if kind == 2:
        return content[:end] + content[start:]  # a stretch twice
    if kind == 3:
        return content.decode(errors="replace").encode(rng.choice(["utf-16", "utf-8-sig", "utf-32"]))
    return content[:start] + rng.choice(TOKENS) + content[start:]


def _damage_text(content: bytes, rng: random.Random) -> bytes:
    lines = [line.split() for line in content.decode().splitlines()]
    return "\n".join(" ".join(map(str, line)) for line in _damage_rows(lines, rng)).encode(errors="surrogatepass")


def _damage_table(content: bytes, rng: random.Random) -> bytes:
    rows: list[list[Any]] = list(csv.reader(io.StringIO(content.decode())))
    file = io.StringIO()
    csv.writer(file, delimiter=rng.choice(",,,;\t|")).writerows(_damage_rows(rows, rng))
    return file.getvalue().encode(errors="surrogatepass")


def _damage_rows(rows: list[list[Any]], rng: random.Random) -> list[list[Any]]:
    if not rows:
        return [[rng.choice(ODD)]]
    row = rng.choice(rows)
    kind = rng.randrange(6)
    if kind == 0:
        rows.remove(row)
    elif kind == 1:
        rows.insert(rng.randint(0, len(rows)), list(row))
    elif kind == 2:
        row.insert(rng.randint(0, len(row)), rng.choice(ODD))
    elif row and kind == 3:
        del row[rng.randrange(len(row))]
    elif row and kind == 4:
        row[rng.randrange(len(row))] = rng.choice(rng.choice(rows) or [""])
    elif row:
        row[rng.randrange(len(row))] = rng.choice(ODD)
    return rows


def _damage_json(content: bytes, rng: random.Random) -> bytes:
    return json.dumps(_damage_tree(json.loads(content), rng)).encode()


def _damage_yaml(content: bytes, rng: random.Random) -> bytes:
    return yaml.safe_dump(_damage_tree(yaml.safe_load(content), rng), allow_unicode=True).encode(errors="surrogatepass")


def _damage_tree(tree: Any, rng: random.Random) -> Any:
    places = list(_places(tree))
    if not places or rng.random() < 0.02:
        return rng.choice(ODD)
    holder, key = rng.choice(places)
    other_holder, other_key = rng.choice(places)
    kind = rng.randrange(5)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
    elif kind == 2:
        holder[key] = json.loads(json.dumps(other_holder[other_key]))  # a copy: a tree must not hold itself
    elif kind == 3:
        holder[key] = str(holder[key])
    else:
        holder[key] = rng.choice(ODD)
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every value of a tree, as what holds it and its key."""
    pairs = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    for key, value in pairs:
        yield tree, key
        yield from _places(value)


def _damage_xml(content: bytes, rng: random.Random) -> bytes:
    root = ElementTree.fromstring(content)
    parents = [(parent, child) for parent in root.iter() for child in parent]
    if not parents:
        return b""
    parent, child = rng.choice(parents)
    kind = rng.randrange(5)
    if kind == 0:
        parent.remove(child)
    elif kind == 1:
        parent.append(child)
    elif kind == 2:
        child.tag = rng.choice(parents)[1].tag
    elif kind == 3 and child.attrib:
        child.attrib[rng.choice(list(child.attrib))] = str(rng.choice(ODD))
    else:
        child.text = str(rng.choice(ODD))
    return ElementTree.tostring(root, encoding="unicode").encode(errors="surrogatepass")


_STRUCTURES = {".csv": _damage_table, ".json": _damage_json, ".yaml": _damage_yaml, ".xml": _damage_xml}


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
