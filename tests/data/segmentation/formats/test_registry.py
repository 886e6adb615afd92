"""A format of masks is one file and one line."""

import numpy as np
import pytest
from PIL import Image

import fastitpn
from fastitpn.data.segmentation.formats.base import MaskFormat, UncheckedPart
from fastitpn.data.segmentation.formats.registry import FORMATS
from fastitpn.data.segmentation.images import MaskedImages, MaskFolders, segmentation_images, segmentation_split


def masked(folders, classes):
    """Of a picture a.jpg the mask lies in a.npy."""
    images = sorted(folders.data.glob("*.jpg"))
    return MaskedImages(
        images=images, masks=lambda index: np.load(images[index].with_suffix(".npy")), classes=classes.numbered(3)
    )


def parts(folders, classes, val):
    images = masked(folders, classes)
    return {"": UncheckedPart(images=images.images, labels=images.labels, masks=[None] * len(images))}, images.classes


@pytest.fixture
def arrays(tmp_path):
    """Data of a registered format."""
    data = tmp_path / "arrays"
    data.mkdir()
    for number in range(3):
        Image.effect_noise((40, 36), 90).convert("RGB").save(data / f"{number}.jpg")
        np.save(data / f"{number}.npy", np.full((36, 40), number, np.uint8))
    there = lambda folders, *part: any(folders.data.glob("*.npy"))  # noqa: E731
    FORMATS.register(
        "arrays",
        MaskFormat(
            title="arrays",
            layout="FOLDER/a.jpg and FOLDER/a.npy",
            recognise=there,
            claims=there,
            split=lambda folders, classes, val, **split: (masked(folders, classes), masked(folders, classes)),
            images=masked,
            parts=parts,
        ),
    )
    yield data
    FORMATS.unregister("arrays")


def test_training_evaluation_and_doctor_read_it(arrays, tmp_path):
    folders = MaskFolders(data=arrays)
    for images in (*segmentation_split(folders), segmentation_images(folders)):
        assert (len(images), images.labels(2)[0, 0], images.classes.names) == (3, 2, ("0", "1", "2"))
    checked = fastitpn.doctor(arrays, similar=None, out=tmp_path / "doctor")
    assert (checked.form, checked.counts["1"]) == ("arrays", {"": 36 * 40})
