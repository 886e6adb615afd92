"""Images that lie beside those of a file of annotations, and that it does not list."""

from collections.abc import Collection
from pathlib import Path

from fastitpn.data.detection.formats.coco import listed_files
from fastitpn.data.images.decode import EXTENSIONS
from fastitpn.data.images.folders import list_files
from fastitpn.diagnosis.findings import Finding


def find_unlisted(pairs: Collection[tuple[Path, Path]]) -> list[Finding]:
    """A note for each image in the folders that no file lists: forgotten in annotating, or left over.

    Args:
        pairs: Files of annotations that can be read, and the folders of their images; all parts, which may share one.
    """
    listed = {path.resolve() for file, folder in pairs for path in listed_files(file, folder)}
    folders = sorted({folder for _, folder in pairs if folder.is_dir()})
    found = {path.resolve(): path for folder in folders for path in list_files(folder, EXTENSIONS)}
    names = ", ".join(sorted(file.name for file, _ in pairs))
    return [
        Finding(kind="image that is not listed", what=f"it is not in {names}", files=(path,), problem=False)
        for place, path in found.items()
        if place not in listed
    ]
