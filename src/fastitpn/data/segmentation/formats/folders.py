"""Masks as pictures: a folder of images and one of masks with the same names."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from fastitpn.data.detection.formats.coco import has_coco_annotations
from fastitpn.data.detection.formats.registry import FORMATS as LABEL_FORMATS
from fastitpn.data.detection.formats.registry import recognise
from fastitpn.data.detection.reading import FOR_BOXES
from fastitpn.data.images.folders import has_images, list_images
from fastitpn.data.images.mask_names import IMAGE_FOLDERS, MASK_FOLDERS, Pair, match_masks
from fastitpn.data.parts import part_folders, part_of
from fastitpn.data.segmentation.formats.pictures import MaskPictures, picture_format
from fastitpn.data.segmentation.masked_images import MaskFolders
from fastitpn.errors import InputError
from fastitpn.listing import children, subfolders

LAYOUT = (
    "FOLDER/images and FOLDER/masks (or annotations), both with train, val and test inside or neither, or inside of "
    "train, val and test; images/a.jpg has masks/a.png, or masks/a_mask.png and the like"
)
_EXPECTED = f"{LAYOUT}; or masks of objects in COCO's format, as for finetune detect"
_BESIDE = ("masks", "mask", "labels", "label", "annot", "annotations", "gt")
"""Behind the name of a part, that of a folder with its masks: `train_labels`, `trainannot`."""

_Folders = tuple[Path, Path]
"""Of images and of masks."""


def _recognise(folders: MaskFolders, part: str) -> bool:
    """Whether both folders are there; the same for each part."""
    return bool(_inside_parts(folders) or _beside_parts(folders)) or None not in _roots(folders)


def _claims(folders: MaskFolders) -> bool:
    """Whether masks are where they are said to be, or are found; boxes beside them in COCO's files count more."""
    return not (folders.data.is_file() or has_coco_annotations(folders.data)) and _has_masks(folders)


def _has_masks(folders: MaskFolders) -> bool:
    if folders.masks is not None or _inside_parts(folders) or _beside_parts(folders):
        return True
    images, masks = _roots(folders)
    return images is not None and masks is not None and has_images(masks)


def _find(folders: MaskFolders) -> MaskPictures:
    """Images by part, or all if there are no parts, each with its mask."""
    if not _has_masks(folders) and (name := recognise(folders.data)):
        raise InputError(
            f"this data has boxes ({LABEL_FORMATS[name].title}), and no masks of pixels",
            where=folders.data,
            expected=_EXPECTED,
            fix=FOR_BOXES,
        )
    places = _inside_parts(folders) or _beside_parts(folders) or _parts_of_roots(folders)
    pairs_of: dict[str, list[Pair]] = {}
    lines: list[str] = []
    for part, (images, masks) in places.items():
        of_images = _named(list_images(images), images)
        if part == "test" and not (masks.is_dir() and has_images(masks)):
            lines.append(f"the part test has no masks: its {len(of_images)} images are left out")
            continue
        matches = match_masks(of_images, list(_named(list_images(masks), masks).items()), folders.pattern)
        if not any(mask for _, mask in matches.pairs):
            raise _no_pairs(folders, of_images, masks, matches.hint)
        pairs_of[part] = matches.pairs
        lines += [matches.line] if matches.line and matches.line not in lines else []
        lines += _unused(part, matches.pairs, masks, by_same_name=matches.line is None and folders.pattern is None)
    return MaskPictures(parts=pairs_of, lines=tuple(lines))


def _named(files: Iterable[Path], folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in files}


def _unused(part: str, pairs: Sequence[Pair], masks: Path, *, by_same_name: bool) -> list[str]:
    """What to say of masks that are no image's; of folders with other things beside the masks nothing."""
    used = {mask.with_suffix("") for _, mask in pairs if mask}
    others = {path.with_suffix("") for path in list_images(masks)} - used if by_same_name else set()
    of_part = f" of {part}" if part else ""
    return [f"{len(others)} masks{of_part} have no image, such as {min(others).name}"] if others else []


def _no_pairs(folders: MaskFolders, images: Mapping[str, Path], masks: Path, hint: str | None) -> InputError:
    first_image, first_mask = next(iter(images.values())), list_images(masks)[0]
    by_pattern = f" of the pattern {folders.pattern}" if folders.pattern else ""
    return InputError(
        f"none of the {len(images)} images has a mask{by_pattern}: the first is {first_image.name}, "
        f"the first mask {first_mask.name}" + (f"; {hint}" if hint else ""),
        where=masks,
        expected=f"files of the same names; {_EXPECTED}",
        fix="say how masks are named: masks.suffix=_mask, or masks.pattern=mask_{stem}; or masks=FOLDER",
    )


def _parts_of_roots(folders: MaskFolders) -> dict[str, _Folders]:
    """`images/train` and `masks/train`; or `images` and `masks` under ""."""
    images = _root(folders.data, folders.images, IMAGE_FOLDERS)
    masks = _root(folders.data, folders.masks, MASK_FOLDERS)
    of_images, of_masks = part_folders(images), part_folders(masks)
    for part, folder in of_images.items():
        if part not in of_masks and part != "test":
            raise InputError(
                f"the images have a folder {folder.name!r}, the masks have none",
                where=masks,
                expected=_EXPECTED,
                fix=f"name the folder of their masks {masks / folder.name}",
            )
    places = {part: (folder, of_masks.get(part, masks / folder.name)) for part, folder in of_images.items()}
    return places or {"": (images, masks)}


def _inside_parts(folders: MaskFolders) -> dict[str, _Folders]:
    """`train/images` and `train/masks`, with pictures in both."""
    result = {}
    for part, folder in _part_folders(folders.data).items():
        images, masks = (_existing(folder, *given) for given in _given(folders))
        if images and masks and has_images(masks):
            result[part] = images, masks
    return result


def _beside_parts(folders: MaskFolders) -> dict[str, _Folders]:
    """`train` and `train_labels`, or `trainannot`, as CamVid has been passed on."""
    if folders.images is not None or folders.masks is not None or not folders.data.is_dir():
        return {}
    by_name = {path.name.lower(): path for path in sorted(subfolders(folders.data))}
    result = {}
    for part, images in _part_folders(folders.data).items():
        names = [f"{images.name.lower()}{mark}{word}" for mark in ("_", "-", "") for word in _BESIDE]
        masks = next((by_name[name] for name in names if name in by_name), None)
        if masks and has_images(masks):
            result[part] = images, masks
    return result


def _part_folders(data: Path) -> dict[str, Path]:
    return part_folders(data) if data.is_dir() and any(part_of(path.name) for path in children(data)) else {}


def _given(folders: MaskFolders) -> tuple[tuple[Path | None, Sequence[str]], tuple[Path | None, Sequence[str]]]:
    return (folders.images, IMAGE_FOLDERS), (folders.masks, MASK_FOLDERS)


def _roots(folders: MaskFolders) -> tuple[Path | None, Path | None]:
    images, masks = (_existing(folders.data, *given) for given in _given(folders))
    return images, masks


def _root(data: Path, given: Path | None, names: Sequence[str]) -> Path:
    if given is not None:
        return data / given if (data / given).is_dir() or not given.is_dir() else given
    if (folder := _existing(data, None, names)) is not None:
        return folder
    if not data.is_dir():
        list_images(data)  # says what is wrong with it
    inside = sorted(path.name for path in subfolders(data) if not path.name.startswith("."))
    wanted = " or ".join(names[: 1 if names is IMAGE_FOLDERS else 3])
    raise InputError(
        f"no folder {wanted} in this folder, which has {', '.join(inside[:10]) or 'no folders'}",
        where=data,
        expected=_EXPECTED,
        fix=f"{names[0]}=FOLDER inside of it",
    )


def _existing(data: Path, given: Path | None, names: Sequence[str]) -> Path | None:
    """The folder that is given, or the first of these names that is there, those with pictures before others."""
    if given is not None:
        return next((folder for folder in (data / given, given) if folder.is_dir()), None)
    if not data.is_dir():
        return None
    by_name = {path.name.lower(): path for path in sorted(subfolders(data), reverse=True)}
    there = [by_name[name.lower()] for name in names if name.lower() in by_name]
    return next((folder for folder in there if has_images(folder)), there[0] if there else None)


FORMAT = picture_format(title="images with masks", layout=LAYOUT, recognise=_recognise, claims=_claims, find=_find)
