"""Which masks belong to which images, by their names: the same, or with what people put before and behind them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastitpn.data.images.named_files import nfc

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "img_dir", "JPEGImages", "leftImg8bit")
MASK_FOLDERS = (
    *("masks", "annotations", "labels", "mask", "label", "ann_dir", "ann", "SegmentationClassPNG"),
    *("SegmentationClass", "segmentation", "segmentations", "gt", "groundtruth", "ground_truth", "gtFine", "gtCoarse"),
)
"""Names of folders in any case, the likeliest first; of masks, or of other labels, beside those of images."""

_BEHIND_MASKS = re.compile(
    r"[ _.-](?:masks?|labels?|lab|l|gt|seg|segmentation|ground[ _-]?truth|annotations?|annot?|matte"
    r"|(?:gt(?:fine|coarse)_)?label(?:train)?ids)$",
    re.IGNORECASE,
)
_BEFORE_MASKS = re.compile(r"^(?:masks?|labels?|gt|seg|segmentation|annotation)[ _.-]", re.IGNORECASE)
_BEHIND_IMAGES = re.compile(
    r"[ _.-](?:sat|images?|img|im|rgb|colou?r|photo|raw|src|original|leftimg8bit)$", re.IGNORECASE
)
_BEFORE_IMAGES = re.compile(r"^(?:images?|img|im|photo|rgb)[ _.-]", re.IGNORECASE)
_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".pgm")
"""Suffixes of masks, the most likely first; a JPEG is found too, to be refused."""

Pair = tuple[Path, Path | None]
"""An image and its mask, if it has one."""


@dataclass(frozen=True, kw_only=True)
class Affix:
    """What a name has before and behind the part that an image and its mask share."""

    before: str = ""
    behind: str = ""

    def core(self, stem: str) -> str | None:
        """The shared part of a name; None if it lacks this."""
        folder, slash, name = stem.rpartition("/")
        small = name.casefold()
        if not small.startswith(self.before) or not small.endswith(self.behind):
            return None
        end = len(name) - len(self.behind)
        return f"{folder}{slash}{name[len(self.before) : end]}" if end > len(self.before) else None

    def __str__(self) -> str:
        return f"{self.before}*{self.behind}"


@dataclass(frozen=True, kw_only=True)
class Matches:
    """Images with their masks.

    Attributes:
        pairs: In the order of the images.
        line: How they were matched, where that is not by the same name.
        hint: What might be meant, where no image has a mask.
    """

    pairs: list[Pair]
    line: str | None = None
    hint: str | None = None


def is_mask_name(stem: str) -> bool:
    """Whether a name without its suffix is one that people give to masks, such as `a_mask`."""
    return bool(_BEHIND_MASKS.search(stem) or _BEFORE_MASKS.search(stem))


def masks_among(files: Sequence[Path]) -> set[Path]:
    """Files that are masks of others among them: `a_mask.png` is one where there is a picture `a` too."""
    stems: dict[Path, set[str]] = defaultdict(set)
    for path in files:
        stems[path.parent].update({path.stem, *_cores(path.stem, _BEFORE_IMAGES, _BEHIND_IMAGES)})
    return {
        path
        for path in files
        if path.suffix.lower() in _SUFFIXES
        and any(core in stems[path.parent] for core in _cores(path.stem, _BEFORE_MASKS, _BEHIND_MASKS))
    }


def match_masks(images: Mapping[str, Path], masks: Sequence[tuple[str, Path]], pattern: str | None = None) -> Matches:
    """Gives each image its mask.

    Args:
        images: Files by their names within the folder of images, with `/`, in their order.
        masks: Names and files likewise.
        pattern: Name of a mask, with {stem} or {name} of its image; None looks for the same name, then for common
            things before and behind it with which every image has exactly one mask.
    """
    by_stem: dict[str, Path] = {}
    for name, path in masks:
        stem = nfc(_stem(name))
        if stem not in by_stem or _rank(path) < _rank(by_stem[stem]):
            by_stem[stem] = path
    stems = {name: nfc(_stem(name)) for name in images}
    if pattern is not None:
        return _by_pattern(images, by_stem, stems, pattern)
    pairs: list[Pair] = [(path, by_stem.get(stems[name])) for name, path in images.items()]
    if not pairs or any(mask for _, mask in pairs):
        return _with_other_case(pairs, by_stem, stems)
    pairs = [(path, by_stem.get(nfc(name))) for name, path in images.items()]
    if all(mask for _, mask in pairs):
        return Matches(pairs=pairs, line=f"masks by the whole names of their images: {_example(pairs)}")
    return _by_affix(images, by_stem, stems)


def _by_pattern(
    images: Mapping[str, Path], by_stem: Mapping[str, Path], stems: Mapping[str, str], pattern: str
) -> Matches:
    pattern = nfc(_stem(pattern) if Path(pattern).suffix.lower() in _SUFFIXES else pattern)
    fitting = []
    for affix in _affixes(stems.values(), _BEFORE_IMAGES, _BEHIND_IMAGES):
        pairs: list[Pair] = []
        for name, path in images.items():
            folder, slash, _ = name.rpartition("/")
            core = (affix.core(stems[name]) or stems[name]).rpartition("/")[2]
            wanted = f"{folder}{slash}{pattern.format(stem=core, name=nfc(path.name))}"
            pairs.append((path, by_stem.get(wanted)))
        fitting.append(pairs)
    # the names as they are come first, and of the others only those that say more
    return Matches(pairs=max(fitting, key=lambda pairs: sum(mask is not None for _, mask in pairs)))


def _with_other_case(pairs: Sequence[Pair], by_stem: Mapping[str, Path], stems: Mapping[str, str]) -> Matches:
    """On a second look, names without their case."""
    if all(mask for _, mask in pairs):
        return Matches(pairs=list(pairs))
    folded: dict[str, list[Path]] = defaultdict(list)
    for stem, path in by_stem.items():
        folded[stem.casefold()].append(path)
    taken = {mask for _, mask in pairs}
    result: list[Pair] = []
    for (image, mask), stem in zip(pairs, stems.values(), strict=True):
        others = [path for path in folded[stem.casefold()] if path not in taken]
        result.append((image, others[0] if mask is None and len(others) == 1 else mask))
    count = sum(before != after for before, after in zip(pairs, result, strict=True))
    return Matches(pairs=result, line=f"{count} masks found under names in another case" if count else None)


def _by_affix(images: Mapping[str, Path], by_stem: Mapping[str, Path], stems: Mapping[str, str]) -> Matches:
    best: tuple[int, Affix] | None = None
    image_affixes = list(_affixes(stems.values(), _BEFORE_IMAGES, _BEHIND_IMAGES))
    for of_masks in _affixes(by_stem, _BEFORE_MASKS, _BEHIND_MASKS):
        cores: dict[str, list[Path]] = defaultdict(list)
        for stem, path in by_stem.items():
            if (core := of_masks.core(stem)) is not None:
                cores[core.casefold()].append(path)
        for of_images in image_affixes:
            wanted = [(of_images.core(stem) or "").casefold() for stem in stems.values()]
            masks = [cores.get(core, []) for core in wanted]
            count = sum(len(paths) == 1 for paths in masks)
            if count == len(images) == len(set(wanted)):
                pairs: list[Pair] = [(image, paths[0]) for image, paths in zip(images.values(), masks, strict=True)]
                said = f"{of_images} with the mask {of_masks}"
                return Matches(pairs=pairs, line=f"masks by their names: {said}, such as {_example(pairs)}")
            if count and (best is None or count > best[0]):
                best = count, of_masks
    if pairs := _by_anything(images, by_stem, stems):
        return Matches(pairs=pairs, line=f"masks by their names, such as {_example(pairs)}")
    hint = None if best is None else f"{best[0]} of {len(images)} images have a mask named {best[1]}"
    return Matches(pairs=[(path, None) for path in images.values()], hint=hint)


def _by_anything(images: Mapping[str, Path], by_stem: Mapping[str, Path], stems: Mapping[str, str]) -> list[Pair]:
    """Pairs by what is the same before or behind every image's name in its mask's; [] if there is no such thing."""
    folder, _, name = next(iter(stems.values())).rpartition("/")
    for stem in by_stem:
        place, _, longer = stem.rpartition("/")
        start = longer.find(name)
        if place != folder or longer == name or start < 0:
            continue
        before, behind = longer[:start], longer[start + len(name) :]
        pairs: list[Pair] = []
        for of_image, path in zip(stems.values(), images.values(), strict=True):
            inside, slash, core = of_image.rpartition("/")
            pairs.append((path, by_stem.get(f"{inside}{slash}{before}{core}{behind}")))
        if len(pairs) > 1 and all(mask for _, mask in pairs):
            return pairs
    return []


def _affixes(stems: Iterable[str], before: re.Pattern[str], behind: re.Pattern[str]) -> Iterator[Affix]:
    """What names have before or behind them, from nothing to the rarest."""
    counts: Counter[Affix] = Counter()
    for stem in stems:
        name = stem.rpartition("/")[2]
        if match := behind.search(name):
            counts[Affix(behind=match[0].casefold())] += 1
        if match := before.search(name):
            counts[Affix(before=match[0].casefold())] += 1
    yield Affix()
    # numbers of training before all numbers: both have a mask for every image of street scenes
    yield from sorted(counts, key=lambda affix: ("train" not in affix.behind, -counts[affix], str(affix)))


def _cores(stem: str, before: re.Pattern[str], behind: re.Pattern[str]) -> Iterator[str]:
    for pattern in (before, behind):
        if core := pattern.sub("", stem):
            if core != stem:
                yield core


def _example(pairs: Sequence[Pair]) -> str:
    image, mask = pairs[0]
    return f"{image.name} and {mask.name if mask else None}"


def _stem(name: str) -> str:
    """A name without the suffix of its file: `a/b.c.png` gives `a/b.c`."""
    folder, slash, file = name.rpartition("/")
    return f"{folder}{slash}{Path(file).stem}"


def _rank(mask: Path) -> int:
    suffix = mask.suffix.lower()
    return _SUFFIXES.index(suffix) if suffix in _SUFFIXES else len(_SUFFIXES)
