"""Writes a mask for each picture beside it: python run.py PICTURE ... (needs NEEDED and Pillow)."""

import json
import sys
from pathlib import Path

import numpy as np
from opening import open_model
from picture import read_picture
from PIL import Image

HERE = Path(__file__).parent
ABOUT = json.loads((HERE / "model.json").read_text(encoding="utf-8"))
RUN = open_model(HERE / ABOUT["file"])
for name in sys.argv[1:]:
    picture, (height, width) = read_picture(name, ABOUT), ABOUT["px"]
    if "height" in ABOUT["input"]["shape"]:  # any size: keep the shape of the picture
        scale = min(height, width) / min(picture.size)
        height, width = (max(2, round(side * scale / 16)) * 16 for side in (picture.height, picture.width))
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), np.float32) / 255
    images = ((pixels - np.float32(ABOUT["mean"])) / np.float32(ABOUT["std"])).transpose(2, 0, 1)
    images = np.repeat(images[None], ABOUT["input"]["fewest_images"], axis=0)
    scores = RUN(images)[0][0]  # [classes, height / 4, width / 4]
    enlarged = [np.asarray(Image.fromarray(plane).resize(picture.size, Image.Resampling.BILINEAR)) for plane in scores]
    mask = Image.fromarray(np.argmax(enlarged, axis=0).astype(np.uint8))
    mask.putpalette([value for color in ABOUT["colors"] for value in color])
    mask.save(Path(name).with_suffix(".mask.png"))
    print(name, {ABOUT["classes"][label]: count for count, label in mask.getcolors() or ()})
