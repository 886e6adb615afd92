"""The files that the authors published: what each is, and where it lies here once it was fetched."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastitpn.errors import InputError
from fastitpn.nearest import nearest_name

PREFIX = "published:"
"""What a name of a published file begins with where it stands for a file."""
FOLDER_VARIABLE = "FASTITPN_CACHE"


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file of weights that the authors published.

    Attributes:
        name: What to type for it: `published:NAME`.
        file: Its name in the cache: the authors', where that is known.
        model: Name of the model that it is for.
        what: How it was trained.
        px: Side of its native input; None where it is not known.
        figure: What the authors published of models that started from it.
        drive: Its id on Google Drive.
        size: Its bytes; None where they are not known.
        sha256: Its SHA-256, in hexadecimal digits; None where it is not known.
    """

    name: str
    file: str
    model: str
    what: str
    px: int | None
    figure: str
    drive: str
    size: int | None = None
    sha256: str | None = None

    @property
    def path(self) -> Path:
        """Where it lies here, or would."""
        return cache_folder() / self.file

    @property
    def link(self) -> str:
        """Where a browser finds it."""
        return f"https://drive.google.com/file/d/{self.drive}/view"

    @property
    def get(self) -> str:
        """What to type to fetch it."""
        return f"fastitpn weights get {self.name}"

    @property
    def sidecar(self) -> Path:
        """File with the SHA-256 of the copy that was fetched first, as `sha256sum` writes it."""
        return self.path.with_name(f"{self.file}.sha256")

    @property
    def expected_sha256(self) -> str | None:
        """The published SHA-256, else that of the copy that was fetched first; None before that."""
        if self.sha256 is not None or not self.sidecar.is_file():
            return self.sha256
        return self.sidecar.read_text(errors="replace").partition(" ")[0].strip().lower()


_TOP1 = "published top-1 on ImageNet-1K, fine-tuned"
_DENSE = "published with Mask R-CNN 1x on COCO"
PUBLISHED: Sequence[PublishedFile] = (
    PublishedFile(
        name="tiny",
        file="fast_itpn_tiny_1600e_1k.pt",
        model="fastitpn_tiny",
        what="pre-trained on ImageNet-1K under CLIP-L, 1600 epochs",
        px=224,
        figure=f"{_TOP1}: 85.1 % at 224 px, 86.2 % at 384 px, 86.5 % at 512 px",
        drive="1Ze9RkJggxxi58Dl7sqWrf2TNOSnRK4Wi",
    ),
    PublishedFile(
        name="small",
        file="fast_itpn_small_1600e_1k.pt",
        model="fastitpn_small",
        what="pre-trained on ImageNet-1K under CLIP-L, 1600 epochs",
        px=224,
        figure=f"{_TOP1}: 86.4 % at 224 px, 86.95 % at 384 px, 87.8 % at 512 px",
        drive="1Wvk5kQSh8fWQCUwzAp7eaVpmOi3D5_H4",
    ),
    PublishedFile(
        name="base",
        file="fast_itpn_base_clipl_e1600.pt",
        model="fastitpn_base",
        what="pre-trained on ImageNet-1K under CLIP-L, 1600 epochs",
        px=224,
        figure=f"{_TOP1}: 87.4 % at 224 px, 88.5 % at 512 px",
        drive="1ADXPV95XpWb1ROMCih1n3AD52fGdr8C_",
        size=180_830_695,
        sha256="626fd426dd89b2681d8b3942fa00e05fffb467af111c7bbd6a0a4b8bc0afc388",
    ),
    PublishedFile(
        name="base_21k",
        file="base_21k.pt",
        model="fastitpn_base",
        what="pre-trained, then fine-tuned on ImageNet-21K",
        px=None,
        figure=f"{_TOP1}: 88.75 % at 512 px",
        drive="1ddGbBm46FiUdNs9HPSepokhuOKhEnBdV",
    ),
    PublishedFile(
        name="large",
        file="fast_itpn_large_1600e_1k.pt",
        model="fastitpn_large",
        what="pre-trained on ImageNet-1K under CLIP-L, 1600 epochs",
        px=256,
        figure=f"{_TOP1} (on ImageNet-21K first): 89.5 % at 640 px",
        drive="16uybbJ23Fp7lnGNYL5I198glHGhwn_y2",
    ),
    PublishedFile(
        name="itpn_base_pixel",
        file="itpn_base_pixel.pt",
        model="itpn_base_pixel",
        what="iTPN (CVPR 2023), pre-trained on pixels",
        px=224,
        figure=f"{_DENSE}: box AP 53.0, mask AP 46.5; ADE20K 53.5 mIoU",
        drive="1HxW37BOEhIE9UNgHq0zblK0fTy2-IyzM",
    ),
    PublishedFile(
        name="itpn_base_clip",
        file="itpn_base_clip.pt",
        model="itpn_base",
        what="iTPN (CVPR 2023), pre-trained under CLIP",
        px=224,
        figure=f"{_DENSE}: box AP 53.2, mask AP 46.6; ADE20K 54.7 mIoU",
        drive="1H51Zusrvlj8RjcWA7yuUyeqaVhmndSeN",
    ),
    PublishedFile(
        name="itpn_large_pixel",
        file="itpn_large_pixel.pt",
        model="itpn_large_pixel",
        what="iTPN (CVPR 2023), pre-trained on pixels",
        px=224,
        figure=f"{_DENSE}: box AP 55.6, mask AP 48.6; ADE20K 56.1 mIoU",
        drive="1TYCaepVflm0xMrQefG5Sj4ityXYbJLFt",
    ),
    PublishedFile(
        name="itpn_large_clip",
        file="itpn_large_clip.pt",
        model="itpn_large",
        what="iTPN (CVPR 2023), pre-trained under CLIP-L, patches of 16 px",
        px=224,
        figure=f"{_DENSE}: box AP 55.2, mask AP 48.2; ADE20K 57.7 mIoU",
        drive="1gyyjcdMvAQsz2xC7ei-rEd7G4po2spy4",
    ),
)


def cache_folder() -> Path:
    """Where fetched files lie: `FASTITPN_CACHE`, else `fastitpn` in the user's folder of caches."""
    if folder := os.environ.get(FOLDER_VARIABLE):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "fastitpn"


def published_file(name: str) -> PublishedFile:
    """The published file of a name, with or without `published:` before it.

    Raises:
        InputError: There is none.
    """
    files = {file.name: file for file in PUBLISHED}
    asked = name.removeprefix(PREFIX)
    if asked not in files:
        same = next((file.name for file in PUBLISHED if asked in (file.model, file.file, Path(file.file).stem)), None)
        near = same or nearest_name(asked.removeprefix("fastitpn_"), files)
        prefix = PREFIX if name.startswith(PREFIX) else ""
        raise InputError(
            f"no published file is named {asked!r}",
            expected=", ".join(files),
            fix=f"{prefix}{near}" if near is not None else "see what there is: fastitpn weights",
        )
    return files[asked]


def file_for_model(model: str) -> PublishedFile:
    """The published file that a model starts from where none is named.

    Raises:
        InputError: There is none.
    """
    for file in PUBLISHED:  # of two files of a model the one that is pre-trained alone stands first
        if file.model == model:
            return file
    raise InputError(
        f"no file is published for {model}",
        where="pretrained=True",
        expected=f"one of {', '.join(dict.fromkeys(file.model for file in PUBLISHED))}",
        fix="pretrained=False, or pretrained_cfg_overlay={'file': FILE}",
    )
