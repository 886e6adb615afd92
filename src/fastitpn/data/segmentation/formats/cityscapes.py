"""Cityscapes' street scenes: photographs below leftImg8bit, numbers below gtFine or gtCoarse, by part and city."""

from pathlib import Path

from fastitpn.data.images.folders import has_images, list_files, list_images
from fastitpn.data.parts import part_folders
from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.data.segmentation.formats.pictures import MaskPictures, picture_format
from fastitpn.data.segmentation.masked_images import MaskFolders
from fastitpn.errors import InputError

LAYOUT = (
    "FOLDER/leftImg8bit/train/CITY/a_leftImg8bit.png and FOLDER/gtFine/train/CITY/a_gtFine_labelTrainIds.png, or "
    "_labelIds.png, the same for val"
)
_IMAGES, _MASKS = "leftImg8bit", ("gtFine", "gtCoarse")
_KINDS = ("labelTrainIds", "labelIds")
_CLASSES = {
    "road": (7, (128, 64, 128)),
    "sidewalk": (8, (244, 35, 232)),
    "building": (11, (70, 70, 70)),
    "wall": (12, (102, 102, 156)),
    "fence": (13, (190, 153, 153)),
    "pole": (17, (153, 153, 153)),
    "traffic light": (19, (250, 170, 30)),
    "traffic sign": (20, (220, 220, 0)),
    "vegetation": (21, (107, 142, 35)),
    "terrain": (22, (152, 251, 152)),
    "sky": (23, (70, 130, 180)),
    "person": (24, (220, 20, 60)),
    "rider": (25, (255, 0, 0)),
    "car": (26, (0, 0, 142)),
    "truck": (27, (0, 0, 70)),
    "bus": (28, (0, 60, 100)),
    "train": (31, (0, 80, 100)),
    "motorcycle": (32, (0, 0, 230)),
    "bicycle": (33, (119, 11, 32)),
}
"""Number among labelIds, and colour, in the order of the labelTrainIds."""
_NO_CLASSES = (*(number for number in range(35) if number not in {value for value, _ in _CLASSES.values()}), 255)


def _folders(folders: MaskFolders) -> tuple[Path, Path] | None:
    if (folders.images or Path(_IMAGES)).name != _IMAGES or folders.pattern is not None:
        return None
    images = folders.data / (folders.images or _IMAGES)
    names = [folders.masks] if folders.masks is not None else map(Path, _MASKS)
    masks = next((folder for name in names if name.name in _MASKS and (folder := folders.data / name).is_dir()), None)
    return (images, masks) if masks is not None and images.is_dir() else None


def _find(folders: MaskFolders) -> MaskPictures:
    places = _folders(folders)
    if places is None:
        raise InputError("this is not Cityscapes' layout", where=folders.data, expected=LAYOUT, fix="see docs")
    images, masks = places
    listed = {part: list_images(folder) for part, folder in part_folders(images).items() if has_images(folder)}
    listed = listed or {"": list_images(images)}
    names = {path.relative_to(masks).as_posix() for path in list_files(masks, {".png"})}
    learnt = {part: paths for part, paths in listed.items() if part != "test"} or listed
    numbers = {
        kind: [name for paths in learnt.values() for name in _masks(paths, images, masks, kind)] for kind in _KINDS
    }
    kind = max(_KINDS, key=lambda kind: sum(name in names for name in numbers[kind]))  # the first of equals
    if not names.intersection(numbers[kind]):
        raise InputError(
            f"none of the {len(numbers[kind])} images has a mask: of {next(iter(learnt.values()))[0].name} it would be "
            f"{numbers[kind][0]}",
            where=masks,
            expected=LAYOUT,
            fix="unpack the masks beside the images",
        )
    pairs_of = {
        part: [
            (path, masks / name if name in names else None)
            for path, name in zip(paths, _masks(paths, images, masks, kind), strict=True)
        ]
        for part, paths in learnt.items()
    }
    lines = [f"masks of Cityscapes: *_{kind}.png" + ", as the numbers of labelTrainIds" * (kind == "labelIds")]
    if "test" in listed and "test" not in learnt:
        lines.append(f"the part test has no masks that count: its {len(listed['test'])} images are left out")
    return MaskPictures(parts=pairs_of, lines=tuple(lines), classes=_classes(kind))


def _masks(images: list[Path], root: Path, masks: Path, kind: str) -> list[str]:
    """The names of the masks of images, below the folder of masks."""
    names = (path.relative_to(root).with_suffix("").as_posix() for path in images)
    return [f"{name.removesuffix('_' + _IMAGES)}_{masks.name}_{kind}.png" for name in names]


def _classes(kind: str) -> SegmentationClasses:
    by_ids = kind == "labelIds"
    return SegmentationClasses(
        names=tuple(_CLASSES),
        colors=tuple(color for _, color in _CLASSES.values()),
        values=tuple(number for number, _ in _CLASSES.values()) if by_ids else (),
        left_out=_NO_CLASSES if by_ids else (),
        ignore_is_given=True,
    )


FORMAT = picture_format(
    title="Cityscapes",
    layout=LAYOUT,
    recognise=lambda folders, part: _folders(folders) is not None,
    claims=lambda folders: _folders(folders) is not None,
    find=_find,
)
