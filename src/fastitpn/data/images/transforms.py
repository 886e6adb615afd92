"""From a decoded image to the tensors of a batch: random views for training, the centre crop for evaluation."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from timm.data import create_transform
from timm.data.auto_augment import RandAugment, rand_augment_transform
from timm.data.random_erasing import RandomErasing
from timm.data.transforms import RandomResizedCropAndInterpolation
from torch import Tensor
from torchvision.transforms import Compose, InterpolationMode, v2
from torchvision.transforms.v2.functional import resize

from fastitpn.errors import InputError
from fastitpn.imagenet import CROP_ASPECT, crop_share


@dataclass(frozen=True, kw_only=True)
class ImageTransform:
    """A transform of one image to one tensor [3, px, px], float32, normalised."""

    steps: Callable[[Image.Image], Tensor]
    """RGB image to tensor."""
    decode_px: int | None
    """The shorter side of the image may be reduced to this when it is decoded (`read_image(min_px=)`); None: never."""

    def __call__(self, image: Image.Image) -> Tensor:
        """Makes the tensor of an RGB image."""
        return self.steps(image)


def classify_train(
    px: int,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    crop_scale: tuple[float, float] = (0.08, 1.0),
    hflip: float = 0.5,
    rand_augment: str | None = "rand-m9-mstd0.5-inc1",
    random_erasing: float = 0.25,
) -> ImageTransform:
    """The training view of the published fine-tuning: random crop and flip, RandAugment, random erasing.

    Args:
        px: Height and width of the result.
        mean: Per channel, of values in 0..1.
        std: Per channel, divided by.
        crop_scale: Range of the crop's share of the image area.
        hflip: Probability of a left-right flip.
        rand_augment: A policy in timm's notation, `rand-...`, or None.
        random_erasing: Probability that a rectangle is replaced with noise.

    Raises:
        InputError: `rand_augment` is not a policy.
    """
    steps: list[Callable[[Any], Any]] = [_RandomCrop(px=px, scale=crop_scale, hflip=hflip)]
    if rand_augment is not None:
        steps += [v2.ToPILImage(), _rand_augment(rand_augment, px, mean), v2.PILToTensor()]
    steps.append(_Normalise(mean, std))
    if random_erasing:
        steps.append(RandomErasing(random_erasing, mode="pixel", device="cpu"))
    return ImageTransform(steps=Compose(steps), decode_px=_decode_px(px, crop_scale))


def classify_eval(px: int, *, mean: Sequence[float], std: Sequence[float]) -> ImageTransform:
    """The published evaluation view, by timm: bicubic resize of the shorter side, centre crop.

    The shorter side becomes int(px / 0.875) below 384 px, and px from there on.
    """
    steps = create_transform(px, interpolation="bicubic", mean=tuple(mean), std=tuple(std), crop_pct=crop_share(px))
    return ImageTransform(steps=steps, decode_px=None)


def whole_image(px: int, *, mean: Sequence[float], std: Sequence[float]) -> ImageTransform:
    """The whole image resized (bicubic) to a square, whatever the ratio of its sides: every crop of it is in there."""
    steps: list[Callable[[Any], Any]] = [v2.PILToTensor(), _Resize(px), _Normalise(mean, std)]
    return ImageTransform(steps=Compose(steps), decode_px=px)


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Where a random crop lies in its image, as shares of width and height, and whether it was flipped."""

    left: float
    top: float
    width: float
    height: float
    flipped: bool


class CropPair:
    """Two views of one random crop for pre-training: one for the student, one for the teacher.

    As published: colour jitter, then one random box and flip, resized twice (bicubic), each with its own normalisation.

    Args:
        px: Height and width of the student's view.
        teacher_px: Height and width of the teacher's view.
        mean: Per channel, subtracted from values in 0 to 1 of the student's view.
        std: Per channel, divided by.
        teacher_mean: Per channel, subtracted from values in 0 to 1 of the teacher's view.
        teacher_std: Per channel, divided by.
        crop_scale: Range of the crop's share of the image area.
        hflip: Probability of a left-right flip.
        color_jitter: Strength for brightness, contrast and saturation.
        crop_aspect: Range of the crop's width over its height; (1, 1) stretches nothing.
        more_px: Sizes of further views, see `TeacherView`.
    """

    def __init__(
        self,
        *,
        px: int,
        teacher_px: int,
        mean: Sequence[float],
        std: Sequence[float],
        teacher_mean: Sequence[float],
        teacher_std: Sequence[float],
        crop_scale: tuple[float, float] = (0.2, 1.0),
        hflip: float = 0.5,
        color_jitter: float = 0.0,
        crop_aspect: tuple[float, float] = CROP_ASPECT,
        more_px: Sequence[int] = (),
    ) -> None:
        self.px, self.teacher_px = px, teacher_px
        self._largest_px = max(px, teacher_px, *more_px)
        self.crop_scale, self.crop_aspect, self.hflip = crop_scale, crop_aspect, hflip
        self.jitter = v2.ColorJitter(color_jitter, color_jitter, color_jitter) if color_jitter else None
        self.normalise = _Normalise(mean, std)
        self.teacher_normalise = _Normalise(teacher_mean, teacher_std)

    @property
    def decode_px(self) -> int:
        """The shorter side of the image may be reduced to this when it is decoded."""
        return _decode_px(self._largest_px, self.crop_scale, self.crop_aspect)

    def __call__(self, image: Image.Image) -> tuple[Tensor, Tensor]:
        """RGB image to the student's view [3, px, px] and the teacher's view [3, teacher_px, teacher_px]."""
        student, cut = self.student_view(image)
        return student, self.teacher_view(cut)

    def student_view(self, image: Image.Image) -> tuple[Tensor, "Cut"]:
        """RGB image to the student's view, and the crop, for further views and for features that are stored."""
        cut = Cut(*self._crop(image))
        return self.normalise(cut.resized(self.px)), cut

    def teacher_view(self, cut: "Cut") -> Tensor:
        """The teacher's view of a crop."""
        return self.teacher_normalise(cut.resized(self.teacher_px))

    def _crop(self, image: Image.Image) -> tuple[Tensor, Crop]:
        if self.jitter is not None:
            image = self.jitter(image)
        return _random_crop(image, self.crop_scale, self.hflip, self.crop_aspect)


class Cut:
    """A crop of an image, which several views are made of.

    Attributes:
        place: Where it lies in the image.
    """

    def __init__(self, pixels: Tensor, place: Crop) -> None:
        self._pixels, self.place = pixels, place
        self._resized: dict[int, Tensor] = {}

    def resized(self, px: int) -> Tensor:
        """The crop at px x px, resized once for all views of that size."""
        if px not in self._resized:
            self._resized[px] = _resize(self._pixels, px)
        return self._resized[px]


class TeacherView:
    """A further teacher's view of the student's crop.

    Args:
        px: Height and width.
        mean: Per channel, subtracted from values in 0 to 1.
        std: Per channel, divided by.
    """

    def __init__(self, *, px: int, mean: Sequence[float], std: Sequence[float]) -> None:
        self.px, self._normalise = px, _Normalise(mean, std)

    def __call__(self, cut: Cut) -> Tensor:
        """[3, px, px]."""
        return self._normalise(cut.resized(self.px))


@dataclass(frozen=True, kw_only=True)
class _RandomCrop:
    px: int
    scale: tuple[float, float]
    hflip: float

    def __call__(self, image: Image.Image) -> Tensor:
        return _resize(_random_crop(image, self.scale, self.hflip)[0], self.px)


@dataclass(frozen=True)
class _Resize:
    px: int

    def __call__(self, pixels: Tensor) -> Tensor:
        return _resize(pixels, self.px)


class _Normalise:
    """uint8 [3, H, W] to float32: (value / 255 - mean) / std."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean = torch.tensor(mean).reshape(3, 1, 1) * 255
        self.std = torch.tensor(std).reshape(3, 1, 1) * 255

    def __call__(self, pixels: Tensor) -> Tensor:
        return pixels.float().sub_(self.mean).div_(self.std)


def _random_crop(
    image: Image.Image, scale: tuple[float, float], hflip: float, aspect: tuple[float, float] = CROP_ASPECT
) -> tuple[Tensor, Crop]:
    """A random box of an RGB image, perhaps flipped: uint8 [3, height, width], and where it lies."""
    top, left, height, width = RandomResizedCropAndInterpolation.get_params(image, scale, aspect)
    height, width = max(1, height), max(1, width)  # timm rounds the sides to 0 in images of a few pixels
    box = image.crop((left, top, left + width, top + height))
    flipped = random.random() < hflip
    if flipped:
        box = box.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    crop = Crop(
        left=left / image.width,
        top=top / image.height,
        width=width / image.width,
        height=height / image.height,
        flipped=flipped,
    )
    return torch.from_numpy(np.array(box)).permute(2, 0, 1), crop


def _resize(pixels: Tensor, px: int) -> Tensor:
    """Bicubic resize of uint8 [3, height, width] to [3, px, px]: Pillow's result to 1 of 255, 2 to 5 times as fast."""
    resized: Tensor = resize(pixels, [px, px], InterpolationMode.BICUBIC, antialias=True)
    return resized.contiguous()


def _rand_augment(policy: str, px: int, mean: Sequence[float]) -> RandAugment:
    settings = {
        "translate_const": int(0.45 * px),
        "img_mean": tuple(min(255, round(255 * value)) for value in mean),
        "interpolation": Image.Resampling.BICUBIC,
    }
    try:
        augment: RandAugment = rand_augment_transform(policy, settings)
    except (AssertionError, ValueError) as error:
        raise InputError(
            f"rand_augment is {policy!r}",
            expected="a policy in timm's notation: rand, then magnitude, noise and so on",
            fix="rand_augment=rand-m9-mstd0.5-inc1 (published), or rand_augment=null",
        ) from error
    for op in augment.ops:
        if op.name.startswith("Posterize"):
            op.level_fn = _PosterizeLevel(op.level_fn)
    return augment


@dataclass(frozen=True)
class _PosterizeLevel:
    """timm asks for 0 bits at the highest level: a black image in older versions of Pillow, an error in newer ones."""

    level_fn: Callable[..., tuple[int]]

    def __call__(self, level: float, settings: dict[str, Any]) -> tuple[int]:
        return (max(1, *self.level_fn(level, settings)),)


def _decode_px(px: int, crop_scale: tuple[float, float], aspect: tuple[float, float] = CROP_ASPECT) -> int:
    """The shorter side an image needs so that even the smallest crop has px pixels."""
    return math.ceil(px / math.sqrt(crop_scale[0] * min(aspect[0], 1 / aspect[1])))
