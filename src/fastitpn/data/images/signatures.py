"""What a file is that is no image in a known format, by its first bytes."""

import io
import re
import warnings
from dataclasses import dataclass

from PIL import TiffImagePlugin

from fastitpn.data.images.kinds import EXTENSIONS, INSTALL

HEAD_BYTES = 4096
"""As much of a file as `identify` looks at."""

_PLUGINS = (
    (re.compile(rb"....ftyp(hei[cmsx]|hev[cmx]|mif1|msf1)", re.DOTALL), "HEIC or HEIF", ".heic"),
    (re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n"), "JPEG XL", ".jxl"),
)
_BUILT_IN = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG": "PNG",
    b"GIF8": "GIF",
    b"\x00\x00\x00\x0cjP  ": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
}
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_FRAMES = "save frames of it; predict reads it if its name ends as a video's does, such as .mp4"
_VIDEO = re.compile(rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ", re.DOTALL)
_OTHERS = (
    (re.compile(rb"version https://git-lfs"), "a Git LFS pointer, not the image itself", "git lfs pull"),
    (re.compile(rb"\s*(\xef\xbb\xbf)?(<!doctype html|<html|<head|<body)", re.I), "a web page, not an image", None),
    (re.compile(rb"8BPS"), "a Photoshop document (PSD), not an image in a known format", "export it as PNG or TIFF"),
    (re.compile(rb"%PDF"), "a PDF, not an image", "save its pages as PNG"),
    (re.compile(rb"\s*(<\?xml.*?)?<svg", re.DOTALL), "an SVG drawing, not pixels", "render it as PNG"),
    (re.compile(rb"%!PS"), "a PostScript drawing, not pixels", "render it as PNG"),
    (re.compile(rb".{128}DICM", re.DOTALL), "a DICOM file, not an image in a known format", "convert it to 16-bit PNG"),
    (re.compile(rb"SIMPLE  ="), "a FITS file, not an image in a known format", "convert it to 16-bit PNG"),
    (re.compile(rb"v/1\x01"), "an OpenEXR file, not an image in a known format", "convert it to TIFF or PNG"),
    (re.compile(rb"\x93NUMPY"), "a NumPy array, not an image", "save it as PNG or TIFF"),
    (re.compile(rb"\x89HDF"), "an HDF5 file, not an image", "save its images as PNG or TIFF"),
    (re.compile(rb"....ftypcrx|FUJIFILMCCD-RAW", re.DOTALL), "a raw photograph", "develop it to JPEG, PNG or TIFF"),
    (_VIDEO, "a video, not an image", _FRAMES),
    (re.compile(rb"PK\x03\x04|Rar!|\x1f\x8b|7z\xbc\xaf"), "an archive, not an image", "unpack it"),
    (re.compile(rb"<\?xml|\s*[{\[]\s*[\"{\[]"), "a text file (XML or JSON), not an image", None),
    (re.compile(rb"\x00{64}"), "not an image: it begins with zeros, as after an interrupted copy", None),
)


@dataclass(frozen=True, kw_only=True)
class Identified:
    """What a file is.

    Attributes:
        what: A few words.
        fix: What helps, if more than to replace the file.
    """

    what: str
    fix: str | None = None

    def __str__(self) -> str:
        return f"{self.what}: {self.fix}" if self.fix else self.what


def kind_of(head: bytes) -> str | None:
    """Whether a file that begins so is an "image" or a "video"; None if it is neither, as far as is known here."""
    if head.startswith((*_BUILT_IN, *_TIFF, b"BM")) or any(signature.match(head) for signature, *_ in _PLUGINS):
        return "image"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image"
    return "video" if _VIDEO.match(head) else None


def identify(head: bytes) -> Identified:
    """What a file is that Pillow does not open.

    Args:
        head: Its first bytes.
    """
    if not head:
        return Identified(what="the file is empty")
    for signature, name, suffix in _PLUGINS:
        if signature.match(head):
            if suffix in EXTENSIONS:
                return Identified(what=f"a {name} image that is damaged")
            return Identified(what=f"a {name} image, which needs a plugin", fix=INSTALL[suffix])
    if head.startswith(_TIFF) and (tiff := _tiff(head)):
        return tiff
    for start, name in _BUILT_IN.items():
        if head.startswith(start):
            return Identified(what=f"a {name} image that is damaged")
    for signature, what, fix in _OTHERS:
        if signature.match(head):
            return Identified(what=what, fix=fix)
    return Identified(what="not an image in a known format")


def _tiff(head: bytes) -> Identified | None:
    """Bands and bits of a TIFF; None if its directory is damaged or further down."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            directory = TiffImagePlugin.ImageFileDirectory_v2(head[:8] if head[2:3] in b"*\x00" else head[:16])
            stream = io.BytesIO(head)
            stream.seek(directory.next)
            directory.load(stream)
        bands = int(directory.get(TiffImagePlugin.SAMPLESPERPIXEL, 1))
        bits = directory.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        form = directory.get(TiffImagePlugin.SAMPLEFORMAT, (1,))
    except Exception:  # of Pillow's parser, in many classes
        return None
    kind = {2: "signed ", 3: "float ", 5: "complex ", 6: "complex "}.get(form[0], "")
    return Identified(
        what=f"a TIFF with {bands} band{'s' * (bands != 1)} of {bits[0]} {kind}bits, which is no picture",
        fix="save 1 band (gray) or 3 bands (red, green, blue) of 8 or 16 bits: the ones that matter",
    )
