"""Says what is where in pictures, in pixels: python run.py PICTURE ... (needs NEEDED and Pillow)."""

import json
import sys
from pathlib import Path

import numpy as np
from opening import open_model
from picture import read_picture
from PIL import Image

HERE, MIN_SCORE = Path(__file__).parent, 0.3
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
    boxes, scores, classes, *_ = (output[0] for output in RUN(images))
    print(name, f"({np.sum(scores >= MIN_SCORE)} found with a score of {MIN_SCORE} or more)")
    for box, score, label in zip(boxes, scores, classes, strict=True):
        if score >= MIN_SCORE:
            corners = [round(float(side), 1) for side in box * np.array(2 * picture.size)]
            print(" ", ABOUT["classes"][label], round(float(score), 4), corners)
