from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fastitpn.data.classification import multilabel
from fastitpn.data.classification.labelled import labelled_split
from fastitpn.data.classification.multilabel import MultilabelImages
from fastitpn.data.fold import Fold
from fastitpn.data.splitting import hold_out
from fastitpn.errors import InputError


def test_folds_of_a_number_of_images_hold_each_out_once():
    parts = [hold_out(11, Fold(number, 3), 0, where=Path("x"), fix="") for number in (1, 2, 3)]
    assert sorted(place for _, val in parts for place in val) == list(range(11))
    assert sorted(len(val) for _, val in parts) == [3, 4, 4]
    assert all(sorted(train + val) == list(range(11)) for train, val in parts)
    with pytest.raises(InputError, match="folds=12, but the data has 11 images") as caught:
        hold_out(11, Fold(1, 12), 0, where=Path("x"), fix="")
    assert caught.value.fix == "folds=11"


def test_folds_of_classes_are_stratified(tmp_path, write_images):
    for name, count in (("a", 7), ("b", 4), ("c", 3)):
        write_images(tmp_path / name, *(f"{number}.jpg" for number in range(count)))
    parts = [labelled_split(tmp_path, val_ratio=Fold(number, 3)) for number in (1, 2, 3)]
    assert Counter(path for _, val in parts for path in val.paths) == Counter(sorted(tmp_path.rglob("*.jpg")))
    assert all(not set(train.paths) & set(val.paths) for train, val in parts)
    counts = [val.counts() for _, val in parts]
    assert [sorted(column) for column in zip(*counts, strict=True)] == [[2, 2, 3], [1, 1, 2], [1, 1, 1]]
    assert sorted(map(sum, counts)) == [4, 5, 5]  # what is left of the classes goes to different folds
    with pytest.raises(InputError, match="folds=4, but class c has 3 images") as caught:
        labelled_split(tmp_path, val_ratio=Fold(1, 4))
    assert caught.value.fix == "folds=3"


def test_folds_of_label_sets():
    labels = np.array([[1, 0], [1, 1], [0, 1], [1, 0], [0, 0], [1, 0], [0, 1]], dtype=np.float32)
    images = MultilabelImages(paths=[Path(str(i)) for i in range(7)], labels=labels, classes=["a", "b"])
    held_out = [multilabel._hold_out(images, Fold(number, 3), 0, Path("x")) for number in (1, 2, 3)]
    assert sum(part.astype(int) for part in held_out).tolist() == [1] * 7
    assert all(labels[part][:, 1].sum() == 1 for part in held_out)  # the rarest class has an image in each
    with pytest.raises(InputError, match="folds=4, but class b has 3 images"):
        multilabel._hold_out(images, Fold(1, 4), 0, Path("x"))
