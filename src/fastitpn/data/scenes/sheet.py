"""One picture of many scenes, to look at."""

from pathlib import Path

from PIL import Image, ImageDraw

from fastitpn.data.scenes.build import SceneSet
from fastitpn.listing import matching

_MARGIN_PX = 4
_CAPTION_PX = 14


def draw_contact_sheet(scenes: SceneSet, *, per_row: int = 12, cell_px: int = 96) -> Image.Image:
    """A row of images for every folder of images in the data set.

    Args:
        scenes: The scenes to show, in their folders.
        per_row: Images of each folder, the first by name.
        cell_px: Longest side of each.
    """
    folders = sorted({path.parent for path in matching(scenes.directory, "**/*.jpg")})
    step = cell_px + _MARGIN_PX
    sheet = Image.new("RGB", (per_row * step, len(folders) * (step + _CAPTION_PX)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, folder in enumerate(folders):
        top = row * (step + _CAPTION_PX)
        draw.text((2, top), folder.relative_to(scenes.directory).as_posix(), fill="black")
        for column, path in enumerate(_first(folder, per_row)):
            with Image.open(path) as image:
                image.thumbnail((cell_px, cell_px))
                sheet.paste(image, (column * step, top + _CAPTION_PX))
    return sheet


def _first(folder: Path, count: int) -> list[Path]:
    return matching(folder, "*.jpg")[:count]
