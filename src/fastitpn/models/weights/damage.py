"""What a file is that cannot be read as weights, and what to type for each kind."""

import struct
from pathlib import Path

from fastitpn.errors import InputError
from fastitpn.json_text import from_json

EXPECTED = "a PyTorch file (.pt, .pth, .bin, .ckpt) or .safetensors"
AGAIN = "get the file again"
WRITTEN = (".pt", ".pth", ".bin", ".ckpt", ".tar", ".safetensors", ".pkl")
"""How the names of files of weights end."""
_PACKED = (
    (b"\x1f\x8b", "gunzip < {} > weights.pth"),
    (b"BZh", "bunzip2 < {} > weights.pth"),
    (b"\xfd7zXZ\x00", "unxz < {} > weights.pth"),
    (b"\x28\xb5\x2f\xfd", "unzstd < {} > weights.pth"),
    (b"7z\xbc\xaf\x27\x1c", "7z x {}"),
    (b"Rar!", "unrar x {}"),
)
"""First bytes, and the command that unpacks such files."""
_OF_OTHERS = (
    (b"\x89HDF", "an HDF5 file"),
    (b"GGUF", "a GGUF file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"%PDF", "a PDF"),
)
_TEXT = "it is a text file"
_SHOWN_LETTERS = 40
_LONGEST_REASON = 120


def unreadable(path: Path, reason: str, start: bytes) -> InputError:
    """The error for a file that no reader takes.

    Args:
        path: The file.
        reason: What the last reader said.
        start: Its first bytes, some hundred.
    """
    what, fix = _kind(path, start)
    if what is None:
        what = reason.split(". ")[0].splitlines()[0][:_LONGEST_REASON] if reason.strip() else "it ends too early"
    expected = (
        f"{EXPECTED}; found '{' '.join(start[:_SHOWN_LETTERS].decode().split())} ...'" if what == _TEXT else EXPECTED
    )
    return InputError(f"the file is damaged or no PyTorch file ({what})", where=path, expected=expected, fix=fix)


def archive_of_others(path: Path, names: list[str], *, is_zip: bool) -> InputError:
    """The error for a zip or tar archive of files that are not PyTorch's."""
    arrays = all(name.endswith(".npy") for name in names)
    inside = next((name for name in names if name.endswith((*WRITTEN, ".zip", ".gz"))), None)
    unpack = f"{'unzip' if is_zip else 'tar -xf'} {path}"
    if arrays:
        what, fix = "these are NumPy arrays", "torch.save({name: torch.from_numpy(array), ...}, 'weights.pth')"
    else:
        what = f"this is an archive of other files ({', '.join(names[:3])}), and no file of weights"
        fix = f"unpack it, and {f'give {inside}' if inside else 'see what is inside'}: {unpack}"
    return InputError(what, where=path, expected=EXPECTED, fix=fix)


def _kind(path: Path, start: bytes) -> tuple[str | None, str]:
    """What the first bytes are of, and what to type then; None where they tell nothing."""
    if not start:
        return "it is empty", AGAIN
    for magic, command in _PACKED:
        if start.startswith(magic):
            return "it is packed", f"unpack it: {command.format(path)}"
    for magic, what in _OF_OTHERS:
        if start.startswith(magic):
            return f"it is {what}", "give the file of weights that belongs to it"
    if path.suffix == ".onnx":
        return "it is an ONNX file", "give the checkpoint that it was exported from"
    if start[:2] == b"PK":
        return f"the end of the archive is not in its {path.stat().st_size:,} bytes", AGAIN
    if path.suffix == ".safetensors" and (size := _announced_size(path)) not in (None, path.stat().st_size):
        return f"it has {path.stat().st_size:,} bytes, and its header describes {size:,}", AGAIN
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html")):
        return "it is a web page", "open it in a browser to see why, and get the file again"
    if text.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS", "git lfs pull"
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05" and path.suffix == ".pkl":
        return "it is a pickle, and not of torch.save", "have whoever made it use torch.save(state_dict, 'weights.pth')"
    if len(start) > 3 and start.isascii() and b"\0" not in start and start[:1] not in b"(c]}":  # as pickles begin
        return _TEXT, AGAIN
    return None, AGAIN


def _announced_size(path: Path) -> int | None:
    """Bytes that the header of a file of safetensors describes; None where it cannot be read."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > path.stat().st_size:
                return None
            header = from_json(file.read(length))
        return 8 + int(length) + max(entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error):
        return None
