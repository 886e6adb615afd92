"""Images with masks, from any of the formats, in two parts: to train and to validate."""

from dataclasses import replace
from pathlib import Path

from fastitpn.data.fold import HeldOut
from fastitpn.data.segmentation.classes import SegmentationClasses
from fastitpn.data.segmentation.formats.registry import format_of
from fastitpn.data.segmentation.masked_images import MaskedImages, MaskFolders
from fastitpn.errors import InputError

__all__ = ["MaskFolders", "MaskedImages", "segmentation_images", "segmentation_split"]


def segmentation_split(
    folders: MaskFolders, val: Path | None = None, *, val_ratio: HeldOut = 0.1, seed: int = 0
) -> tuple[MaskedImages, MaskedImages]:
    """Training and validation images, every mask of which was checked.

    Args:
        folders: The data's folder, with what was said of its layout and classes.
        val: Another folder of the same layout to validate on; None takes the `val` part of the data, else splits.
        val_ratio: Share of the images to hold out if neither is there, in (0, 1).
        seed: Decides which images are held out.

    Raises:
        InputError: Folders, classes or files are wrong.
    """
    classes = folders.read_classes()
    form = format_of(folders, "train")
    if folders.panoptic and not form.panoptic:
        raise _no_segments(folders.data)
    return form.split(folders, classes, val, val_ratio=val_ratio, seed=seed)


def segmentation_images(folders: MaskFolders, classes: SegmentationClasses | None = None) -> MaskedImages:
    """Images to evaluate on, every mask of which was checked: the `val` part of the data, or all of it.

    Args:
        folders: The data's folder, with what was said of its layout and classes.
        classes: Classes of the model. If the data has a file with names, they must be these; without one, the masks are
            numbered as those that the model was trained on, unless `folders` says otherwise.

    Raises:
        InputError: Folders, classes or files are wrong, or the data has other classes than the model.
    """
    named = folders.read_classes()
    if classes is not None:
        named = _as_trained(named, classes, folders)
    form = format_of(folders, "val", "test", "train")
    if (named.panoptic or folders.panoptic) and not form.panoptic:
        raise _no_segments(folders.data)
    return form.images(folders, named)


def _no_segments(data: Path) -> InputError:
    return InputError(
        "there are no panoptic annotations in this data",
        where=data,
        expected="panoptic_train2017.json as COCO has it, with its PNGs, or such a file",
        fix="finetune segment without panoptic=true for classes of pixels; finetune detect for objects only",
    )


def _as_trained(named: SegmentationClasses, trained: SegmentationClasses, folders: MaskFolders) -> SegmentationClasses:
    if named.names and named.names != trained.names:
        pairs = zip(named.names, trained.names, strict=False)
        differ = next((f"{a!r} here, {b!r} there" for a, b in pairs if a != b), "the others are the same")
        raise InputError(
            f"the data has {len(named.names)} classes and the model {len(trained.names)}: {differ}",
            where=folders.data,
            expected=f"the classes of the model: {', '.join(trained.names[:10])}{', ...' * (len(trained.names) > 10)}",
            fix="classes=FILE with these names, in this order",
        )
    ignore, reduce = folders.ignore_index, folders.reduce_zero_label
    numbering = named if named.names else trained
    return replace(
        trained,
        ignore_index=numbering.ignore_index if ignore is None else ignore,
        reduce_zero_label=numbering.reduce_zero_label if reduce is None else reduce,
        values=named.values or trained.values,
        palette=named.palette if named.names else trained.colors,
        ignore_colors=named.ignore_colors,
        ignore_is_given=True,  # masks of 0 and 255 alone mean what they meant in the training
    )
