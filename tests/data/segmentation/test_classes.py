"""Names and colours of classes, and what a wrong file is answered with."""

import itertools
from pathlib import Path

import pytest

from fastitpn.data.segmentation.classes import SegmentationClasses, distinct_colors, find_classes
from fastitpn.errors import InputError


def written(folder: Path, text: str, name: str = "classes.yaml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_list_of_names(tmp_path):
    written(tmp_path, "names: [background, cat, dog]\n")
    classes = find_classes(tmp_path)
    assert classes.names == ("background", "cat", "dog")
    assert len(set(classes.colors)) == 3
    assert (classes.ignore_index, classes.reduce_zero_label) == (255, False)


def test_names_by_number_in_any_order_with_colors(tmp_path):
    written(tmp_path, "names: {1: cat, 0: sky}\ncolors: {cat: '#ff8000', 0: [1, 2, 3]}\nignore_index: 9\n")
    classes = find_classes(tmp_path)
    assert classes == SegmentationClasses(names=("sky", "cat"), colors=((1, 2, 3), (255, 128, 0)), ignore_index=9)


def test_numbers_with_gaps_are_those_in_the_masks(tmp_path):
    written(tmp_path, "names: {26: car, 0: sky, 7: road}\n")
    classes = find_classes(tmp_path)
    assert (classes.names, classes.values) == (("sky", "road", "car"), (0, 7, 26))


def test_where_zero_is_no_class_numbers_begin_at_one(tmp_path):
    written(tmp_path, "names: {1: wall, 2: sky}\ncolors: {2: red}\nreduce_zero_label: true\n")
    classes = find_classes(tmp_path)
    assert (classes.names, classes.reduce_zero_label) == (("wall", "sky"), True)
    assert classes.colors[1] == (255, 0, 0)
    with pytest.raises(InputError, match=r"numbered 1, 2, \.\.\., and not 0 to 1; if 0 is no class: reduce_zero_l"):
        find_classes(tmp_path, reduce_zero_label=False)


def test_ade20k_names_its_classes_in_a_table(tmp_path):
    table = "Idx\tRatio\tTrain\tVal\tName\n1\t0.15\t11664\t1172\twall\n2\t0.1\t6046\t612\tbuilding, edifice\n"
    written(tmp_path, table, "objectInfo150.txt")
    classes = find_classes(tmp_path)
    assert (classes.names, classes.reduce_zero_label, classes.ignore_index) == (("wall", "building"), True, 255)


def test_keys_win_over_the_file(tmp_path):
    file = written(tmp_path, "names: [a, b]\nignore_index: 9\n", "mine.yaml")
    classes = find_classes(tmp_path / "elsewhere", file, ignore_index=7)
    assert (classes.names, classes.ignore_index) == (("a", "b"), 7)


def test_without_a_file_they_are_numbered(tmp_path):
    classes = find_classes(tmp_path)
    assert classes.names == ()
    assert classes.numbered(3).names == ("0", "1", "2")
    assert find_classes(tmp_path, reduce_zero_label=True).numbered(2).names == ("1", "2")
    named = SegmentationClasses(names=("a", "b"), colors=distinct_colors("ab"))
    assert named.numbered(5) is named


def test_colors_stand_apart():
    colors = distinct_colors([str(number) for number in range(150)])
    assert len(set(colors)) == 150
    for one, other in itertools.pairwise(colors):
        assert sum(abs(a - b) for a, b in zip(one, other, strict=True)) > 100


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("names: [a]", "1 classes, expected 2 to 255"),
        ("names: [a, a]", "two classes have the name 'a'"),
        ("names: {0: a, 2: b}\nreduce_zero_label: true", "numbered 0, 2, ..., and not 1 to 2"),
        ("names: {2: a, 4: b}", "numbered 2, 4, ..., and not 0 to 1; if 0 is no class: reduce_zero_label=true"),
        ("names: a", "neither a list nor index: name"),
        ("classes: [a, b]", "the file names no classes"),
        ("names: [a, b]\nignore: 3", "unknown keys: ignore"),
        ("names: [a, b]\nignore_index: -1", "ignore_index is -1, not a number"),
        ("names: [a, b]\nreduce_zero_label: 1", "reduce_zero_label is 1, not true or false"),
        ("names: [a, b]\ncolors: {c: red}", "a color for 'c', which is none of the classes"),
        ("names: [a, b]\ncolors: [red, blue, green]", "3 colors for 2 classes"),
        ("names: [a, b]\ncolors: {a: redd}", "'redd' is no color"),
        ("names: [a, b]\ncolors: {a: [1, 2, 300]}", "is no color"),
        ("names: [a, b", "the classes cannot be read"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, what):
    file = written(tmp_path, text)
    with pytest.raises(InputError) as caught:
        find_classes(tmp_path)
    assert what in caught.value.what
    assert (caught.value.where, caught.value.fix) == (file, "correct this file, or give another: classes=FILE")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="the classes cannot be read"):
        find_classes(tmp_path, tmp_path / "none.yaml")


def test_a_class_has_one_colour_with_a_background_and_without():
    names = [f"class {number}" for number in range(30)]
    plain = distinct_colors(names)
    assert len(set(plain)) == 30
    assert distinct_colors([*names[:2], "Background", *names[2:]]) == (*plain[:2], (110, 110, 110), *plain[2:])
    classes = SegmentationClasses(names=("void", "cat"), colors=distinct_colors(("void", "cat")))
    assert (classes.background, classes.colors[1]) == ((0,), plain[0])
