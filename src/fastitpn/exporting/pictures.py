"""Real pictures to compare a file with its model on."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.cbook
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from fastitpn.data.images.decode import read_image
from fastitpn.data.images.folders import list_images, unlabelled
from fastitpn.data.segmentation.transforms import SegmentationEval
from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig

if TYPE_CHECKING:
    from fastitpn.exporting.subject import Subject

Outputs = tuple[Tensor, ...]
"""The outputs of a network for one picture."""

_PHOTOGRAPH = "grace_hopper.jpg"
_FEWEST = 4
COMPARED = 32
"""Pictures that numbers are compared on, if `limit` does not say."""
_DECIDING = 256
"""Those that decisions are counted on, where a picture has but one: one of 32 would be 3 points."""


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures, decoded when they are asked for.

    Attributes:
        images: Files, or decoded pictures.
        source: What they are, for people; no path.
        view: From a picture and a size to the model's input.
        truth: What is known of each, in the form that the task's `score` takes; None where nothing is known.
    """

    images: Sequence[Path | Image.Image]
    source: str = ""
    view: Callable[[Image.Image, tuple[int, int]], Tensor] | None = None
    truth: Sequence[Any] | None = None
    _cache: dict[tuple[int, int], Tensor] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.images)

    def tensors(self, size: tuple[int, int]) -> Tensor:
        """All of them, normalised: [n, 3, height, width]."""
        if size not in self._cache:
            assert self.view is not None
            read = (image if isinstance(image, Image.Image) else read_image(image) for image in self.images)
            self._cache[size] = torch.stack([self.view(image, size) for image in read])
        return self._cache[size]

    def spread(self, count: int, fewest: int = 1) -> "Pictures":
        """At most so many of them, spread evenly; some come again where they are too few for `fewest`."""
        chosen = min(len(self), count)
        places = [place * len(self) // chosen for place in range(chosen)]
        places = (places * fewest)[: max(chosen, fewest)]
        truth = None if self.truth is None else [self.truth[place] for place in places]
        images = [self.images[place] for place in places]
        source = f"{chosen} of {self.source}" if chosen < len(self) else self.source
        return replace(self, images=images, truth=truth, source=source, _cache={})


def find_pictures(config: ExportConfig, subject: "Subject") -> Pictures:
    """The pictures of `data`; else of its training's data, if that is still there; else of `calibrate`.

    Without any of these they are crops of one photograph.

    Raises:
        InputError: There are none in `data`, or none with labels where a loss is to be measured on them.
    """
    decides = subject.whole is not None and not subject.any_size
    limit = config.limit or (_DECIDING if config.precision == "int8" and decides else COMPARED)
    fewest = max(_FEWEST, config.batch)
    if config.data is not None:
        pictures = _from(config.data, subject, limit, fewest, asked=True)
        if config.precision == "int8" and pictures.truth is None and subject.whole is not None:
            raise InputError(
                f"{pictures.source} have no labels of the model's classes, so what int8 loses cannot be measured on "
                "them",
                where=config.data,
                expected="images labelled as those of its training",
                fix="leave data out: then decisions are compared, without labels",
            )
        return pictures
    for key in ("val", "data"):
        given = subject.training.get("config", {}).get(key)
        if given is not None and Path(given).exists():
            with suppress(InputError):
                return _from(Path(given), subject, limit, fewest)
    if config.calibrate is not None:
        return _from(config.calibrate, subject, limit, fewest)
    return Pictures(images=_crops(max(min(limit, COMPARED), fewest)), source="crops of a photograph", view=subject.view)


def _from(data: Path, subject: "Subject", limit: int, fewest: int, *, asked: bool = False) -> Pictures:
    """The images of a folder, with what is known of them where it is of the classes of the subject.

    Some labels take long to be checked, so those are there only if the data was `asked` for.
    """
    listed = _listed(data, subject, asked)
    source = f"{min(len(listed), limit)} images of {data.resolve().name}"
    return replace(listed.spread(limit, fewest), source=source, view=subject.view)


def _listed(data: Path, subject: "Subject", asked: bool) -> Pictures:
    """All images, and what is known of them."""
    if subject.whole is not None:
        with suppress(InputError):  # without classes, or with those of something else, they are there to compare on
            listed = subject.whole.labelled(data) if asked else subject.whole.unlabelled(data)
            if listed is not None:
                return listed
    return Pictures(images=unlabelled(data) if data.is_file() else list_images(_image_part(data)))


def whole_view(image: Image.Image, size: tuple[int, int], mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """The whole picture, resized to [3, *size] and normalised."""
    whole = SegmentationEval(mean=tuple(mean), std=tuple(std))
    return transforms.resize(whole(image), list(size), antialias=True)


def _crops(count: int) -> list[Image.Image]:
    photograph = read_image(matplotlib.cbook.get_sample_data(_PHOTOGRAPH, asfileobj=False))
    chance = random.Random(0)
    crops = []
    for _ in range(count):
        side = chance.randint(min(photograph.size) // 4, min(photograph.size))
        left, top = chance.randint(0, photograph.width - side), chance.randint(0, photograph.height - side)
        crops.append(photograph.crop((left, top, left + side, top + side)))
    return crops


def _image_part(data: Path) -> Path:
    """Masks beside the images are no pictures."""
    return data / "images" if (data / "images").is_dir() else data
