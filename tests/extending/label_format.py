"""A label format: a table of boxes, one in each line, after their part, image and class."""

import csv
from pathlib import Path

from fastitpn.data.detection.sources import Source, SourceImage, SourceObject, source_format

TABLE = "boxes.csv"


def read(folder: Path) -> Source:
    """All images of the table; what is wrong with a box or an image is noted, and left out."""
    source = Source(path=folder)
    file = folder / TABLE
    by_image: dict[tuple[str, str], list[list[str]]] = {}
    with open(file, encoding="utf-8") as lines:
        for part, image, *box in csv.reader(lines):
            by_image.setdefault((part, image), []).append(box)
    source.classes = tuple(sorted({box[0] for boxes in by_image.values() for box in boxes}))
    for (part_name, image), boxes in by_image.items():
        part = source.part(part_name)
        size = part.size_of(folder / image)
        if size is None:
            continue
        objects = []
        for name, left, top, width, height in boxes:
            box = part.box([float(left), float(top), float(width), float(height)], size, file, f"{image}, {name}")
            if box is not None:
                objects.append(SourceObject(name=name, box=box))
        part.images.append(SourceImage(path=folder / image, labels=file, size=size, objects=tuple(objects)))
    return source


FORMAT = source_format(
    title="Table of boxes",
    layout="FOLDER/boxes.csv with lines of part, image, class, left, top, width and height",
    recognise=lambda data: (data / TABLE).is_file(),
    read=read,
)
