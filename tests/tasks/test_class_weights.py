"""What classes weigh, and what is said of classes of very different sizes."""

import pytest
import torch

from fastitpn.config import parse
from fastitpn.errors import InputError
from fastitpn.tasks.class_weights import class_weights, describe_imbalance
from fastitpn.tasks.classify.config import ClassifyConfig

CLASSES = ["no", "yes"]
COUNTS = [30, 10]


def test_balanced_weights_make_all_classes_weigh_alike():
    weights = class_weights("balanced", COUNTS, CLASSES)
    assert weights.tolist() == pytest.approx([40 / 60, 2.0])
    assert (weights * torch.tensor([30, 10])).tolist() == pytest.approx([20, 20])
    assert class_weights(None, COUNTS, CLASSES) is None


@pytest.mark.parametrize("text", ["no: 1\nyes: 3\n", '{"yes": 6, "no": 2}'])
def test_weights_of_a_file_have_a_mean_of_one_over_the_images(tmp_path, text):
    file = tmp_path / "weights.yaml"
    file.write_text(text)
    assert class_weights(file, COUNTS, CLASSES).tolist() == pytest.approx([2 / 3, 2.0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no: 1\n", "missing: yes"),
        ("no: 1\nyes: 1\nmaybe: 1\n", "unknown: maybe"),
        ("no: 1\nyes: much\n", "yes has the weight 'much'"),
        ("no: 0\nyes: 1\n", "no has the weight '0'"),
        ("no: .nan\nyes: 1\n", "no has the weight '.nan'"),
        ("- 1\n- 2\n", "no class names with weights"),
        ("a: [", "expected"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, expected):
    file = tmp_path / "weights.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        class_weights(file, COUNTS, CLASSES)
    assert expected in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_misspelt_word_is_a_file_that_is_not_there():
    config = parse(ClassifyConfig, ["data=photos", "class_weights=balance"])
    with pytest.raises(InputError, match="no such file") as caught:
        class_weights(config.class_weights, COUNTS, CLASSES)
    assert caught.value.fix == "class_weights=balanced"


@pytest.mark.parametrize(("smallest", "said"), [(10, False), (9, True), (0, True)])
def test_more_than_ten_to_one_is_said(smallest, said):
    lines = describe_imbalance(None, [100, smallest], CLASSES)
    expected = (
        f"the classes are imbalanced: no has 100 images to train, yes has {smallest}; "
        "class_weights=balanced makes all classes weigh alike"
    )
    assert lines == ([expected] if said else [])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([989_000, 11_000, 0], "road has 99 % of the pixels to train, pole has 1.1 %; "),
        ([900, 91, 0], None),
        ([900, 500, 89], "road has 60 % of the pixels to train, sky has 6 %; "),
    ],
)
def test_pixels_are_said_in_percent_and_of_classes_that_have_some(counts, expected):
    lines = describe_imbalance(None, counts, ["road", "pole", "sky"], unit="pixels")
    assert len(lines) == (expected is not None)
    if expected:
        balanced = "class_weights=balanced makes all classes weigh alike"
        assert lines[0] == f"the classes are imbalanced: {expected}{balanced}"


def test_several_labels_for_an_image_have_no_class_weights():
    with pytest.raises(InputError, match="class_weights: expected none with multilabel=true, got balanced"):
        parse(ClassifyConfig, ["data=labels.csv", "multilabel=true", "class_weights=balanced"])
