"""Damages the content of files at random: their bytes, or what their kind of file is made of."""

import csv
import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml
from PIL import Image

ODD = [None, True, False, 0, -1, 2**63, 1e308, float("nan"), float("inf"), "", " ", "0", "-1", "1e3", "nan", "no"]
ODD += ["\0", "\ufeff", "a\\b", "../../x", "/", ".", "ä", "a\u0308", "\ud800", "x" * 5000, "9" * 5000]
ODD += [[], {}, [[]], [1, 2], {"a": 1}]
TOKENS = [b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc3\x28", b"\r", b"\n\n", b'"', b"'", b",", b";", b"\t", b"|", b"\\"]
TOKENS += [b"{", b"]", b"<", b"&", b"#", b"%00", b"-1", b"1e999", b"nan", b"[" * 2000, b"<a>" * 500, b"- " * 500]
MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"]
CHUNKS = (b"IHDR", b"PLTE", b"IDAT")
_DOUBLED = "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
_ENTITIES = "".join(f"<!ENTITY {new} '{f'&{old};' * 9}'>" for old, new in zip("abcdefgh", "bcdefghi", strict=True))
WHOLE = {
    ".json": [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 100_000,
        b'{"images": {}, "annotations": 5, "categories": "x"}',
    ],
    ".xml": [
        f"<!DOCTYPE a [<!ENTITY a 'aaaaaaaaa'>{_ENTITIES}]><annotation>&i;</annotation>".encode(),
        b"<a>" * 100_000,
    ],
    ".yaml": [f"a: &a [x]\n{_DOUBLED}names: *i\n".encode(), b"names: " + b"[" * 5000, b"? " * 5000, b"names: &a [*a]"],
    ".csv": [b'"' * 100_000, b"," * 200_000, b"image,label\n" + b"\n" * 100_000, b"sep=\r\n", b'sep="\nimage"label\n'],
    ".txt": [b"0 " * 100_000, b"\n" * 200_000, b"x" * 200_000],
}
"""Files that are wrong as a whole: deep, long, or small with much in them."""


def damage(content: bytes, suffix: str, rng: random.Random) -> bytes:
    """The content with one to three damages: of bytes, or of what the suffix says that it is made of; or `WHOLE`."""
    if suffix in WHOLE and rng.random() < 0.03:
        return rng.choice(WHOLE[suffix])
    for _ in range(rng.randint(1, 3)):
        parts = _STRUCTURES.get(suffix, _damage_text)
        try:
            content = parts(content, rng) if rng.random() < 0.7 else _damage_bytes(content, rng)
        except Exception:  # too damaged by now to be understood
            content = _damage_bytes(content, rng)
    return content


def resize_header(png: Path, width: int, height: int) -> None:
    """Makes a PNG say that it has another size; its pixels stay."""
    content = png.read_bytes()
    header = content[12:16] + struct.pack(">II", width, height) + content[24:29]
    png.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])


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
    kind = rng.randrange(7)
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
        place = rng.randrange(len(row))
        row[place] = _other_number(row[place], rng) if kind == 5 else rng.choice(ODD)
    return rows


def _other_number(value: Any, rng: random.Random) -> Any:
    """A number as large as a fault may make it, or with a fraction; of what is none an odd value."""
    try:
        number = float(value)
        return rng.choice(
            [number * 10 ** rng.randint(1, 12), int(number) * 10 ** rng.randint(1, 12), -number, number + 0.3]
        )
    except (TypeError, ValueError, OverflowError):
        return rng.choice(ODD)


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
    kind = rng.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = [holder[key]] if rng.random() < 0.5 else {"a": holder[key]}
    elif kind == 2:
        holder[key] = json.loads(json.dumps(other_holder[other_key]))  # a copy: a tree must not hold itself
    elif kind == 3:
        holder[key] = str(holder[key])
    elif kind == 4:
        holder[key] = _other_number(holder[key], rng)
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
    kind = rng.randrange(6)
    if kind == 0:
        parent.remove(child)
    elif kind == 1:
        parent.append(child)
    elif kind == 2:
        child.tag = rng.choice(parents)[1].tag
    elif kind == 3 and child.attrib:
        child.attrib[rng.choice(list(child.attrib))] = str(rng.choice(ODD))
    elif kind == 4:
        child.text = str(_other_number(child.text, rng))
    else:
        child.text = str(rng.choice(ODD))
    return ElementTree.tostring(root, encoding="unicode").encode(errors="surrogatepass")


def _damage_png(content: bytes, rng: random.Random) -> bytes:
    """Saves it in another mode or size, or changes a chunk, whose checksum is right nevertheless."""
    if rng.random() < 0.5:
        file = io.BytesIO()
        with Image.open(io.BytesIO(content)) as image:
            width, height = (max(1, side + rng.choice((0, 0, 0, -1, 1, 9))) for side in image.size)
            image.convert(rng.choice(MODES)).resize((width, height)).save(file, "PNG")
        return file.getvalue()
    start = rng.choice([place for place in range(8, len(content)) if content[place + 4 : place + 8] in CHUNKS])
    (length,) = struct.unpack(">I", content[start : start + 4])
    body = bytearray(content[start + 4 : start + 8 + length])
    place = rng.choice([4, 5, 6, 7, 8, 9, 10, 11, 12, 13, rng.randrange(4, 5 + length)])  # mostly sizes and kinds
    if place < len(body):
        body[place] = rng.choice([0, 1, 2, 3, 4, 8, 16, 35, 64, 255, rng.randrange(256)])
    checksum = struct.pack(">I", zlib.crc32(body))
    return content[: start + 4] + bytes(body) + checksum + content[start + 12 + length :]


_STRUCTURES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".csv": _damage_table,
    ".json": _damage_json,
    ".png": _damage_png,
    ".xml": _damage_xml,
    ".yaml": _damage_yaml,
}
