"""Pascal VOC's masks: JPEGImages, SegmentationClass, and lists of the parts in ImageSets/Segmentation."""

from collections.abc import Container
from pathlib import Path

from PIL import Image

from fastitpn.data.images.folders import list_images
from fastitpn.data.images.mask_names import match_masks
from fastitpn.data.images.named_files import nfc
from fastitpn.data.parts import part_of
from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.data.segmentation.formats.pictures import MaskPictures, picture_format
from fastitpn.data.segmentation.mask_files import packed
from fastitpn.data.segmentation.masked_images import MaskFolders
from fastitpn.data.segmentation.numbering import voc_color
from fastitpn.data.text_files import read_text
from fastitpn.errors import InputError
from fastitpn.listing import matching

LAYOUT = (
    "FOLDER/JPEGImages/a.jpg, FOLDER/SegmentationClass/a.png, and names of the images of each part in "
    "FOLDER/ImageSets/Segmentation/train.txt and val.txt"
)
_IMAGES, _MASKS, _LISTS = Path("JPEGImages"), Path("SegmentationClass"), Path("ImageSets/Segmentation")
_NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def _lists(folders: MaskFolders) -> dict[str, Path]:
    """The lists of the data by part, those of all images under ""; none if the data is of another layout."""
    data = folders.data
    here = (data / (folders.images or _IMAGES)).is_dir() and (data / (folders.masks or _MASKS)).is_dir()
    files = matching(data / _LISTS, "*.txt") if here else []
    by_part = {part: file for file in files if (part := part_of(file.stem)) is not None}
    others = [file for file in files if part_of(file.stem) is None]
    whole = {"": min(others, key=lambda file: file.stem.lower() != "trainval")} if others else {}
    return by_part if {"train", "val"} <= by_part.keys() or not whole else {**by_part, **whole}


def _recognise(folders: MaskFolders) -> bool:
    return folders.pattern is None and bool(_lists(folders))


def _find(folders: MaskFolders) -> MaskPictures:
    data, lists = folders.data, _lists(folders)
    if "train" in lists and "" in lists:
        del lists[""]  # all of them together, with the images of test perhaps
    images, masks = data / (folders.images or _IMAGES), data / (folders.masks or _MASKS)
    by_stem = {nfc(path.stem): path for path in list_images(images)}
    of_masks = [(path.name, path) for path in list_images(masks)]
    parts, problems, listed = {}, [], set()
    for part, file in lists.items():
        names = [_name(line, by_stem) for line in read_text(file).splitlines() if line.strip()]
        names = list(dict.fromkeys(names))
        problems += [f"{file.name}: there is no image {name}" for name in names if name not in by_stem]
        listed.update(names)
        pairs = match_masks({by_stem[name].name: by_stem[name] for name in names if name in by_stem}, of_masks).pairs
        if part == "test" and not all(mask for _, mask in pairs):
            continue  # as the masks of VOC's own test part are kept back
        if pairs:
            parts[part] = pairs
    if problems or not parts:
        more = [f"... and {len(problems) - 20} more"] if len(problems) > 20 else []
        raise InputError(
            f"{len(problems)} images of the lists are not there" if problems else "the lists of images are empty",
            where="".join(f"\n    {line}" for line in [str(data / _LISTS), *problems[:20], *more]),
            expected=LAYOUT,
            fix="correct the lists, or remove them to use all images that have masks",
        )
    with_masks = sum(Path(name).stem in by_stem and Path(name).stem not in listed for name, _ in of_masks)
    lines = [f"images by the lists {', '.join(sorted(file.name for file in lists.values()))} of {_LISTS}"]
    lines += [f"{with_masks} images with masks are in none of them"] * bool(with_masks)
    first = next((mask for pairs in parts.values() for _, mask in pairs if mask), None)
    classes = _classes() if first is not None and _is_of_voc(data, first) else None
    return MaskPictures(parts=parts, lines=tuple(lines), classes=classes)


def _name(line: str, known: Container[str]) -> str:
    """The name in a line of a list, which may have a path, a suffix, or more words behind it."""
    text = line.strip().replace("\\", "/")
    for name in (text, text.split()[0]):
        for form in (nfc(name), nfc(Path(name).name), nfc(Path(name).stem)):
            if form in known:
                return form
    return text


def _is_of_voc(data: Path, mask: Path) -> bool:
    """Whether the classes are those of the challenge: its folders and masks are known by their name or palette."""
    if data.resolve().name.lower().startswith("voc20") or (data / "ImageSets/Main/aeroplane_train.txt").is_file():
        return True
    try:
        with Image.open(mask) as image:
            palette = (image.getpalette("RGB") or []) if image.mode == "P" else []
    except Exception:  # on a damaged file, Pillow's readers raise whatever their parser happens to hit
        return False
    colors = [packed((r, g, b)) for r, g, b in zip(*[iter(palette)] * 3, strict=False)]
    return len(colors) == 256 and colors == [packed(voc_color(number)) for number in range(256)]


def _classes() -> SegmentationClasses:
    colors = tuple(voc_color(number) for number in range(len(_NAMES)))
    return SegmentationClasses(names=_NAMES, colors=colors, palette=colors, ignore_is_given=True)


FORMAT = picture_format(
    title="Pascal VOC masks",
    layout=LAYOUT,
    recognise=lambda folders, part: _recognise(folders),
    claims=_recognise,
    find=_find,
)
