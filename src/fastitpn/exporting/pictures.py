"""Real pictures to compare a file with its model on."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib.cbook
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from fastitpn.data.detection.annotations import DetectionImages
from fastitpn.data.detection.images import detection_images, find_coco
from fastitpn.data.images.decode import read_image
from fastitpn.data.images.folders import labelled, list_images, unlabelled
from fastitpn.data.images.transforms import classify_eval
from fastitpn.data.segmentation.images import MaskFolders, segmentation_images
from fastitpn.data.segmentation.masks import Labels
from fastitpn.data.segmentation.transforms import SegmentationEval
from fastitpn.errors import InputError
from fastitpn.exporting.config import ExportConfig
from fastitpn.exporting.subject import Subject

_PHOTOGRAPH = "grace_hopper.jpg"
_FEWEST = 4


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """Pictures, decoded when they are asked for.

    Attributes:
        images: Files, or pictures.
        source: What they are, for people; no path.
        view: From a picture and a size to the model's input.
        labels: True class of each; None where it is not known.
        masks: Reads the true classes of its pixels, for each; None where they are not known.
    things: What is in all images of the data, and the place of each picture among them; None where it is not known.
    """

    images: list[Path] | list[Image.Image]
    source: str
    view: Callable[[Image.Image, tuple[int, int]], Tensor]
    labels: list[int] | None = None
    masks: Sequence[Callable[[], Labels]] | None = None
    things: tuple[DetectionImages, list[int]] | None = None
    _cache: dict[tuple[int, int], Tensor] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.images)

    def tensors(self, size: tuple[int, int]) -> Tensor:
        """All of them, normalised: [n, 3, height, width]."""
        if size not in self._cache:
            read = (image if isinstance(image, Image.Image) else read_image(image) for image in self.images)
            self._cache[size] = torch.stack([self.view(image, size) for image in read])
        return self._cache[size]


def find_pictures(config: ExportConfig, subject: Subject) -> Pictures:
    """The pictures of `data`; else of its training's data, if that is still there; else crops of one photograph.

    Raises:
        InputError: There are none in `data`.
    """
    fewest = max(_FEWEST, config.batch)
    if config.data is not None:
        return _from(config.data, subject, config.limit, fewest, with_truth=True)
    for key in ("val", "data"):
        given = subject.training.get("config", {}).get(key)
        if given is not None and Path(given).exists():
            with suppress(InputError):
                return _from(Path(given), subject, config.limit, fewest)
    return Pictures(images=_crops(max(config.limit, fewest)), source="crops of a photograph", view=_view(subject))


def _from(data: Path, subject: Subject, limit: int, fewest: int, *, with_truth: bool = False) -> Pictures:
    """The images of a folder, with what is known of them where it is of the classes of the subject.

    Masks and boxes take long to be checked, so those are there only if `with_truth`.
    """
    listed = _listed(data, subject, with_truth)
    chosen = min(len(listed), limit)
    places = [place * len(listed) // chosen for place in range(chosen)]  # spread evenly
    places = (places * fewest)[: max(chosen, fewest)]  # some come again where they are too few for a batch
    return replace(
        listed,
        images=_at(listed.images, places),
        labels=None if listed.labels is None else _at(listed.labels, places),
        masks=None if listed.masks is None else _at(listed.masks, places),
        things=None if listed.things is None else (listed.things[0], places),
        source=f"{chosen} images of {data.resolve().name}",
    )


def _at(values: Sequence[Any], places: Sequence[int]) -> list[Any]:
    return [values[place] for place in places]


def _listed(data: Path, subject: Subject, with_truth: bool) -> Pictures:
    """All images, and what is known of them."""
    about: dict[str, Any] = {"source": "", "view": _view(subject)}
    with suppress(InputError):  # without classes, or with those of something else, they are there to compare on
        if subject.task == "classify" and subject.classes is not None:
            images = labelled(_validation_part(data), subject.classes)
            return Pictures(images=images.paths, labels=images.labels, **about)
        if subject.task == "segment" and with_truth:
            masked = segmentation_images(MaskFolders(data=data), subject.masks)
            masks = [partial(masked.labels, index) for index in range(len(masked))]
            return Pictures(images=masked.images, masks=masks, **about)
        if subject.things is not None and with_truth:
            things = detection_images(data, classes=subject.things, with_masks=False)
            return Pictures(images=things.paths, things=(things, []), **about)
        if subject.task == "detect" and (pair := find_coco(data, "val") or find_coco(data, None)):
            return Pictures(images=list_images(pair[1]), **about)
    return Pictures(images=unlabelled(data) if data.is_file() else list_images(_image_part(data)), **about)


def _view(subject: Subject) -> Callable[[Image.Image, tuple[int, int]], Tensor]:
    """A square picture for a classifier is what its evaluation takes; any other is the whole of it, resized."""
    whole = SegmentationEval(mean=subject.mean, std=subject.std)

    def view(image: Image.Image, size: tuple[int, int]) -> Tensor:
        if subject.task == "classify" and size[0] == size[1]:
            cropped: Tensor = classify_eval(size[0], mean=subject.mean, std=subject.std)(image)
            return cropped
        return transforms.resize(whole(image), list(size), antialias=True)

    return view


def _crops(count: int) -> list[Image.Image]:
    photograph = read_image(matplotlib.cbook.get_sample_data(_PHOTOGRAPH, asfileobj=False))
    chance = random.Random(0)
    crops = []
    for _ in range(count):
        side = chance.randint(min(photograph.size) // 4, min(photograph.size))
        left, top = chance.randint(0, photograph.width - side), chance.randint(0, photograph.height - side)
        crops.append(photograph.crop((left, top, left + side, top + side)))
    return crops


def _validation_part(data: Path) -> Path:
    return next((data / name for name in ("val", "valid", "validation") if (data / name).is_dir()), data)


def _image_part(data: Path) -> Path:
    """Masks beside the images are no pictures."""
    return data / "images" if (data / "images").is_dir() else data
