"""Category ids, which have gaps and differ between files, become labels from 0 on."""

import time
from pathlib import Path

import pytest

from fastitpn.data.detection.annotations import DetectionClasses
from fastitpn.data.detection.categories import read_categories
from fastitpn.errors import InputError

FILE = Path("annotations.json")
TRAINED = DetectionClasses(names=("car", "dog", "cat"), ids=(3, 18, 20))


def categories(**ids: int) -> list[dict[str, object]]:
    return [{"id": number, "name": name, "supercategory": "thing"} for name, number in ids.items()]


def test_labels_are_in_the_order_of_the_ids():
    classes, label_of = read_categories(categories(dog=18, car=3, cat=90), FILE, {18})
    assert classes == DetectionClasses(names=("car", "dog", "cat"), ids=(3, 18, 90))
    assert label_of == {3: 0, 18: 1, 90: 2}


def test_id_zero_is_a_category():
    assert read_categories(categories(dog=0, car=1), FILE, {0})[1] == {0: 0, 1: 1}


@pytest.mark.parametrize(
    ("listed", "names", "label_of"),
    [
        ([{"id": "18", "name": "dog"}, {"id": 3.0, "name": "car"}], ("car", "dog"), {3: 0, 18: 1}),
        ([{"id": "d", "name": "dog"}, {"id": "c", "name": "car"}], ("dog", "car"), {"d": 0, "c": 1}),
        ([{"id": "d", "name": "dog"}, {"id": -1, "name": 7}], ("7", "dog"), {-1: 0, "d": 1}),
        ([{"id": 1, "name": "Ba\u0308r", "supercategory": ["a"]}], ("B\u00e4r",), {1: 0}),
    ],
)
def test_ids_as_tools_write_them(listed, names, label_of):
    classes, labels = read_categories(listed, FILE, set())
    assert (classes.names, labels) == (names, label_of)
    assert len(set(classes.ids)) == len(names)


def test_names_are_compared_in_one_unicode_form():
    trained = DetectionClasses(names=("dog", "Ba\u0308r"), ids=(1, 2))
    classes, label_of = read_categories(categories(**{"B\u00e4r": 5}), FILE, set(), trained)
    assert (classes.names, label_of) == (trained.names, {5: 1})


def test_the_labels_of_a_model_go_by_name():
    classes, label_of = read_categories(categories(dog=1, car=2, cat=3), FILE, set(), TRAINED)
    assert classes == DetectionClasses(names=TRAINED.names, ids=(2, 1, 3))
    assert label_of == {2: 0, 1: 1, 3: 2}


def test_names_that_a_file_lacks_get_ids_that_are_free_in_it():
    classes, label_of = read_categories(categories(dog=3, lamp=20), FILE, set(), TRAINED)
    assert classes.names == TRAINED.names
    assert classes.ids[1] == 3
    assert len({*classes.ids, 20}) == 4  # the lamp's stays its own
    assert label_of == {3: 1}


def test_many_categories_take_no_longer_each():
    many = DetectionClasses(names=tuple(f"n{number}" for number in range(30_000)), ids=tuple(range(30_000)))
    listed = [{"id": number, "name": name} for name, number in zip(many.names, many.ids, strict=True)]
    started = time.process_time()
    assert read_categories(listed, FILE, set(), many)[0] == many
    assert time.process_time() - started < 3  # it takes 0.1, and took 20


def test_the_root_of_roboflow_is_no_class():
    root = {"id": 0, "name": "pets", "supercategory": "none"}
    listed = [root, *(entry | {"supercategory": "pets"} for entry in categories(cat=1, dog=2))]
    assert read_categories(listed, FILE, {1, 2})[0].names == ("cat", "dog")
    assert read_categories(listed, FILE, {0, 1})[0].names == ("pets", "cat", "dog")


@pytest.mark.parametrize(
    ("listed", "what"),
    [
        ([], "there are no categories"),
        ([*categories(dog=1), *categories(car=1)], "two categories have the id 1: 'dog' and 'car'"),
        ([*categories(dog=1), *categories(dog=2)], "two categories have the name 'dog'"),
        ([{"name": "dog"}], "number 0 of the categories has no id"),
        ([{"id": 1}], "number 0 of the categories has no name"),
        (["dog"], "number 0 of the categories has no id"),
        (
            [{"id": True, "name": "dog"}],
            "number 0 of the categories has the id True, which is neither a whole number nor a text",
        ),
        ([{"id": 1, "name": ["dog"]}], "number 0 of the categories has the name ['dog'], which is no text"),
        ([*categories(dog=1), {"id": "1.0", "name": "car"}], "two categories have the id 1: 'dog' and 'car'"),
    ],
)
def test_categories_that_are_wrong(listed, what):
    with pytest.raises(InputError) as caught:
        read_categories(listed, FILE, set())
    assert caught.value.what == what
    assert caught.value.where == FILE


def test_a_file_of_other_classes():
    with pytest.raises(InputError, match="the classes of this file are others: lamp, sofa") as caught:
        read_categories(categories(sofa=1, lamp=2), FILE, set(), TRAINED)
    assert "car, dog, cat" in caught.value.expected
