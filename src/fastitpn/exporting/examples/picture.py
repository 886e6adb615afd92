"""Reads pictures as the training did: upright, on white, more than 8 bits in the range that model.json has."""

import numpy as np
from PIL import Image, ImageOps

LOW_BYTES = {"16B": "16L", "16L": "16B", "16N": "16B"}  # Pillow gives the high byte of colours of 16 bits


def read_picture(name, about):
    """The picture of a file as 8-bit RGB, where `about` is the content of model.json."""
    picture, extent = Image.open(name), about.get("image_range") or {"black": 0, "white": 65535}
    args = picture.tile[0].args if picture.tile else ""
    mode = str(args[0] if isinstance(args, tuple) and args else args)  # of the values in the file
    upright = ImageOps.exif_transpose(picture)
    values = None
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        values = np.asarray(upright)
    elif (
        (extent["black"], extent["white"]) != (0, 65535)
        and mode.startswith("RGB")
        and mode[-4:] in (";16B", ";16L", ";16N")
    ):
        again = Image.open(name)
        low = mode[:-3] + LOW_BYTES[mode[-3:]]
        again.tile = [tile._replace(args=(low, *args[1:]) if isinstance(args, tuple) else low) for tile in again.tile]
        values = np.asarray(upright).astype(np.uint16) << 8 | np.asarray(ImageOps.exif_transpose(again))
    if values is not None:
        upright = Image.fromarray(to_8_bit(values, extent))
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
    return upright.convert("RGB")


def to_8_bit(values, extent):
    """Values scaled so that black is 0 and white 255; what is outside is cut."""
    black, white = extent["black"], extent["white"]
    if values.dtype.kind == "f" and not extent.get("cut"):
        black, white = 0, extent.get("white_float") or (1 if values.max() <= 1 else 255)
    values = values.clip(black, white) if values.dtype.kind == "f" else values.astype(np.float64).clip(black, white)
    return np.rint((values - black) * (255 / (white - black))).astype(np.uint8)
