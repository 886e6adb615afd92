"""Names the classes of pictures: python run.py PICTURE ... (needs NEEDED and Pillow)."""

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
    scale = ABOUT["view"].get("shorter_side", 0) / min(picture.size)
    size = (int(picture.width * scale), int(picture.height * scale)) if scale else (width, height)
    picture = picture.resize(size, Image.Resampling.BICUBIC if scale else Image.Resampling.BILINEAR)
    left, top = round((picture.width - width) / 2), round((picture.height - height) / 2)
    pixels = np.asarray(picture.crop((left, top, left + width, top + height)), np.float32) / 255
    images = ((pixels - np.float32(ABOUT["mean"])) / np.float32(ABOUT["std"])).transpose(2, 0, 1)
    images = np.repeat(images[None], ABOUT["input"]["fewest_images"], axis=0)
    logits = RUN(images)[0][0]
    exponents, several = np.exp(logits - logits.max()), "thresholds" in ABOUT  # several labels, each by itself
    scores = 1 / (1 + np.exp(-logits)) if several else exponents / exponents.sum()
    for label in np.argsort(-scores)[: None if several else 3]:
        if not several or scores[label] >= ABOUT["thresholds"][label]:
            print(name, ABOUT["classes"][label] if ABOUT["classes"] else label, round(float(scores[label]), 4))
