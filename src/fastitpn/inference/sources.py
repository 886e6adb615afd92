"""What may be given as an image: files, folders, pictures, arrays and tensors, checked before anything is computed."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fastitpn.data.images.decode import EXTENSIONS, read_image, to_rgb
from fastitpn.data.images.folders import list_images
from fastitpn.data.images.reading import Reading, current_reading
from fastitpn.errors import InputError
from fastitpn.listing import expanded

ImageLike = str | os.PathLike[str] | Image.Image | np.ndarray | Tensor
"""A file or a folder; a PIL image; uint8 [H, W, 3], uint8 or uint16 [H, W]; a tensor [3, H, W], uint8 or 0 to 1."""

_ONE = (str, os.PathLike, Image.Image, np.ndarray, Tensor)
_EXPECTED_ARRAY = "uint8 [height, width, 3] in the order red, green, blue; or uint8 or uint16 [height, width]"
_EXPECTED_TENSOR = "[3, height, width], uint8 or with values from 0 to 1"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One image as it was given; it is decoded when it is needed.

    Attributes:
        value: A path, a PIL image, an array or a tensor that was checked.
        name: For messages: the path, or the place among the arguments such as `images[2]`.
        how: Range of values and largest size; None: as the command that runs reads images.
    """

    value: Path | Image.Image | np.ndarray | Tensor
    name: str
    how: Reading | None = None

    @property
    def path(self) -> Path | None:
        """The file, if it is one."""
        return self.value if isinstance(self.value, Path) else None

    def caption(self, text: str) -> str:
        """Findings in it, and after that, as it may be long, the name of its file."""
        return text if self.path is None else f"{text}, {self.path.name}"

    def read(self, *, min_px: int | None = None) -> Image.Image:
        """The upright RGB image.

        Args:
            min_px: Least shorter side of a JPEG file that is decoded at a reduced size; None decodes it in full.

        Raises:
            InputError: It cannot be decoded.
        """
        if isinstance(self.value, Path):
            return read_image(self.value, min_px=min_px, how=self.how)
        try:
            return to_rgb(_to_picture(self.value), (self.how or current_reading()).range)
        except Exception as error:  # a PIL image that was opened but not yet decoded may be damaged in any way
            reason = error.what if isinstance(error, InputError) else str(error) or type(error).__name__
            expected = error.expected if isinstance(error, InputError) else "a complete picture"
            raise InputError(f"cannot use this image: {reason}", where=self.name, expected=expected) from error


def collect_sources(images: ImageLike | Iterable[ImageLike]) -> list[Source]:
    """One source for each image that was given, in order; a folder gives all in it and its sub-folders.

    Args:
        images: One image or folder, or any number of them, mixed.

    Raises:
        InputError: A path does not exist, a folder has no images, or a value is not an image; it says which.
    """
    if isinstance(images, _ONE):
        return list(_sources(images, "images"))
    if not isinstance(images, Iterable) or isinstance(images, bytes | dict):
        raise _not_an_image(images, "images")
    return [source for place, item in enumerate(images) for source in _sources(item, f"images[{place}]")]


def only_source(image: ImageLike) -> Source:
    """The source of one image.

    Raises:
        InputError: It is none, or several.
    """
    sources = collect_sources(image)
    if len(sources) > 1:
        raise InputError(f"these are {len(sources)} images", where=image, expected="one image")
    return sources[0]


def _sources(item: Any, name: str) -> Iterator[Source]:
    if isinstance(item, str | os.PathLike):
        path = Path(item).expanduser()
        if path.is_dir():
            yield from (Source(value=image, name=str(image)) for image in _images_in(path))
            return
        if not path.exists():
            yield from (Source(value=image, name=str(image)) for image in _matching(path))
            return
        yield Source(value=path, name=str(path))
    elif isinstance(item, Image.Image):
        yield Source(value=item, name=name)
    elif isinstance(item, np.ndarray):
        _check_array(item, name)
        yield Source(value=item, name=name)
    elif isinstance(item, Tensor):
        _check_tensor(item, name)
        yield Source(value=item.detach(), name=name)
    else:
        raise _not_an_image(item, name)


def source_root(source: Path) -> Path:
    """The folder below which the images of a source are: itself, that of the file, or the fixed part of a pattern."""
    if source.is_dir():
        return source
    if source.exists() or not glob.has_magic(str(source)):
        return source.parent
    first = next(place for place, part in enumerate(source.parts) if glob.has_magic(part))
    return Path(*source.parts[:first])


def _matching(pattern: Path) -> list[Path]:
    """The images that a pattern such as photos/**/*.jpg matches."""
    images = [path for path in expanded(str(pattern)) if path.suffix.lower() in EXTENSIONS and path.is_file()]
    if images:
        return images
    is_pattern = glob.has_magic(str(pattern))
    raise InputError(
        "no image matches this pattern" if is_pattern else "there is no such image or folder",
        where=pattern,
        expected="an image, a folder of images, or a pattern in quotes such as 'photos/*.jpg'",
        fix="check the path",
    )


def _images_in(folder: Path) -> list[Path]:
    try:
        return list_images(folder)
    except InputError as error:  # its advice names the key of a training
        raise InputError(
            error.what, where=error.where, expected=error.expected, fix="give an image, or a folder with images"
        ) from None


def _check_array(array: np.ndarray, name: str) -> None:
    shape, kind = array.shape, array.dtype
    what = f"an array of shape {list(shape)} and type {kind} is not an image"
    is_color = array.ndim == 3 and shape[2] == 3
    if (is_color and kind == np.uint8) or (array.ndim == 2 and kind in (np.uint8, np.uint16)):
        if array.size:
            return
        fix = None
    elif array.ndim == 4:
        fix = "give a batch as a list: list(array)"
    elif array.ndim == 3 and shape[0] == 3 and not is_color:
        fix = "put the channels last: array.transpose(1, 2, 0)"
    elif array.ndim == 3 and shape[2] == 4:
        fix = "leave the transparency out: array[..., :3]"
    elif (is_color or array.ndim == 2) and kind.kind == "f":
        fix = 'with values from 0 to 1: (array * 255).round().astype("uint8")'
    else:
        fix = None
    raise InputError(what, where=name, expected=_EXPECTED_ARRAY, fix=fix)


def _check_tensor(tensor: Tensor, name: str) -> None:
    shape, kind = list(tensor.shape), str(tensor.dtype).removeprefix("torch.")
    is_number = tensor.dtype == torch.uint8 or tensor.is_floating_point()
    if len(shape) != 3 or shape[0] != 3 or not is_number or tensor.numel() == 0:
        fix = None
        if len(shape) == 4:
            fix = "give a batch as a list: list(tensor)"
        elif len(shape) == 3 and shape[2] == 3:
            fix = "put the channels first: tensor.permute(2, 0, 1)"
        raise InputError(
            f"a tensor of shape {shape} and type {kind} is not an image",
            where=name,
            expected=_EXPECTED_TENSOR,
            fix=fix,
        )
    if tensor.is_floating_point():
        low, high = (value.item() for value in tensor.detach().aminmax())
        if not (low >= 0 and high <= 1):  # written so that NaN fails too
            raise InputError(
                f"the values of this tensor run from {low:.4g} to {high:.4g}",
                where=name,
                expected=_EXPECTED_TENSOR,
                fix="give the pixels divided by 255, not normalised: they are normalised here",
            )


def _not_an_image(value: Any, name: str) -> InputError:
    return InputError(
        f"a {type(value).__name__} is not an image",
        where=name,
        expected="a path, a folder, a PIL image, an array or a tensor, or a list of them",
    )


def _to_picture(value: Image.Image | np.ndarray | Tensor) -> Image.Image:
    if isinstance(value, Image.Image):
        return value
    if isinstance(value, Tensor):
        pixels = value if value.dtype == torch.uint8 else (value.float() * 255).round().to(torch.uint8)
        value = pixels.permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(np.ascontiguousarray(value))
