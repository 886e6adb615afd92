"""Kinds of files by their suffix: images that are read here, images that are not and why, and what to do about it."""

from collections.abc import Mapping
from importlib.util import find_spec

_BUILT_IN = """.apng .avif .avifs .bmp .dib .gif .j2c .j2k .jfif .jp2 .jpe .jpeg .jpf .jpg .jpx .mpo .pbm .pgm .png .pnm
.ppm .qoi .tga .tif .tiff .webp"""
_EXTRAS = {"pillow_heif": ("heif", ".heic .heics .heif .heifs .hif"), "pillow_jxl": ("jxl", ".jxl")}
"""Module of a Pillow plugin: the extra that installs it, and what it reads."""

EXTENSIONS = frozenset(_BUILT_IN.split()).union(
    *(suffixes.split() for module, (_, suffixes) in _EXTRAS.items() if find_spec(module))
)
"""What is taken for an image (any case), with the plugins that are installed; `read_image` looks at the content."""

INSTALL = {
    suffix: f"pip install 'fastitpn[{extra}]'" for extra, suffixes in _EXTRAS.values() for suffix in suffixes.split()
}
"""Suffixes that a plugin is needed for: the command that installs it."""

_CONVERT = {
    "raw photographs, to be developed to JPEG, PNG or TIFF": (
        ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .iiq .kdc .mef .mrw .nef .nrw .orf .pef .raf .raw .rw2 .rwl .sr2 "
        ".srf .srw .x3f"
    ),
    "layered pictures, to be exported as PNG or TIFF": ".afphoto .kra .psb .psd .xcf",
    "drawings, to be rendered as PNG": ".ai .emf .eps .svg .svgz .wmf",
    "documents, whose pages are to be saved as PNG": ".djvu .pdf",
    "scientific images, to be converted to PNG or TIFF": (
        ".czi .dcm .dicom .exr .fits .fit .hdr .lif .mha .mrc .nd2 .ndpi .nii .npy .npz .nrrd .svs .vsi"
    ),
    "images, to be converted to PNG or JPEG": ".bpg .dds .flif .icns .ico .jls .jxr .pcx .pict .sgi .wdp .xbm .xpm",
    "archives, to be unpacked": ".7z .bz2 .gz .rar .tgz .xz .zip",
    "videos, of which frames are to be saved as images": ".avi .m4v .mkv .mov .mp4 .mpeg .mpg .webm .wmv",
}
NOT_READ = {suffix: what for what, suffixes in _CONVERT.items() for suffix in suffixes.split()}
"""Suffixes of pictures that are not read: what these files are, and what can be done about it."""


def not_read(counts: Mapping[str, int]) -> list[str]:
    """A line for each kind of picture that is left out, those of the most files first.

    Args:
        counts: Number of files by suffix (in lower case, with its dot); other files, such as labels, have no line.
    """
    lines = []
    for suffix, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        advice = NOT_READ.get(suffix) if suffix not in EXTENSIONS else None
        if suffix in INSTALL and suffix not in EXTENSIONS:
            advice = INSTALL[suffix]
        if advice:
            lines.append(f"{count:,} {suffix} {'file was' if count == 1 else 'files were'} not read: {advice}")
    return lines
