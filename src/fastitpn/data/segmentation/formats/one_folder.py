"""Images and masks in one folder, told apart by their names, such as a.jpg and a_mask.png."""

from pathlib import Path

from fastitpn.data.images.folders import has_images, list_images
from fastitpn.data.images.mask_names import is_mask_name, masks_among, match_masks
from fastitpn.data.parts import part_folders, part_of
from fastitpn.data.segmentation.formats.pictures import MaskPictures, picture_format
from fastitpn.data.segmentation.masked_images import MaskFolders
from fastitpn.errors import InputError
from fastitpn.listing import subfolders

LAYOUT = "FOLDER/a.jpg with FOLDER/a_mask.png, or both inside of train, val and test"


def _places(data: Path) -> dict[str, Path]:
    """Folders by part, or the data under ""."""
    if not data.is_dir():
        return {}
    named = part_folders(data) if any(part_of(path.name) for path in subfolders(data)) else {}
    return {part: folder for part, folder in named.items() if has_images(folder)} or {"": data}


def _recognise(folders: MaskFolders) -> bool:
    """Whether there are at least as many masks as other pictures, in the part that is looked at first."""
    if folders.images is not None or folders.masks is not None:
        return False
    folder = next(iter(_places(folders.data).values()), None)
    if folder is None or not has_images(folder):
        return False
    files = list_images(folder)
    return 2 * len(masks_among(files)) >= len(files)


def _find(folders: MaskFolders) -> MaskPictures:
    pairs_of, lines = {}, []
    for part, folder in _places(folders.data).items():
        files = list_images(folder)
        chosen = masks_among(files)
        if folders.pattern is not None:
            chosen |= {path for path in files if is_mask_name(path.stem)}
        masks = [(path.relative_to(folder).as_posix(), path) for path in files if path in chosen]
        images = {path.relative_to(folder).as_posix(): path for path in files if path not in chosen}
        if not images:
            raise InputError("there are only masks", where=folder, expected=LAYOUT, fix="add the images")
        matches = match_masks(images, masks, folders.pattern)
        if part == "test" and not any(mask for _, mask in matches.pairs):
            lines.append(f"the part test has no masks: its {len(images)} images are left out")
            continue
        pairs_of[part] = matches.pairs
        lines += [matches.line] if matches.line and matches.line not in lines else []
    return MaskPictures(parts=pairs_of, lines=tuple(lines))


FORMAT = picture_format(
    title="images with masks in one folder",
    layout=LAYOUT,
    recognise=lambda folders, part: _recognise(folders),
    claims=_recognise,
    find=_find,
)
