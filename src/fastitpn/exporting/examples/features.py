"""Writes the feature maps of each picture beside it: python run.py PICTURE ... (needs NEEDED and Pillow)."""

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
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), np.float32) / 255
    images = ((pixels - np.float32(ABOUT["mean"])) / np.float32(ABOUT["std"])).transpose(2, 0, 1)
    images = np.repeat(images[None], ABOUT["input"]["fewest_images"], axis=0)
    maps = dict(zip(ABOUT["outputs"], RUN(images), strict=True))
    np.savez(Path(name).with_suffix(".npz"), **maps)
    print(name, {level: values.shape for level, values in maps.items()})
