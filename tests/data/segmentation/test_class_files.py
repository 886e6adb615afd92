"""Files that name classes, as other programs write them."""

import pytest

from fastitpn.data.segmentation.classes import find_classes
from fastitpn.errors import InputError

RED, BLUE = (200, 0, 10), (0, 0, 255)


@pytest.mark.parametrize(
    ("name", "text", "names", "palette"),
    [
        ("labelmap.txt", "# label:color_rgb:parts:actions\na:200,0,10::\nb c:0,0,255::\n", "a|b c", (RED, BLUE)),
        ("labelmap.txt", "a:200,0,10::\nb:::\n", "a|b", (RED, None)),
        ("class_dict.csv", "name,r,g,b\na,200,0,10\nb,0,0,255\n", "a|b", (RED, BLUE)),
        ("class_dict.csv", "name; r; g; b\na; 200; 0; 10\nb; 0; 0; 255\n", "a|b", (RED, BLUE)),
        ("_classes.csv", "Pixel Value, Class\n0, a\n1, b\n", "a|b", (None, None)),
        ("label_colors.txt", "200 0 10\ta\n0 0 255\tb c\n", "a|b c", (RED, BLUE)),
        ("obj_class_to_machine_color.json", '{"a": [200, 0, 10], "b": [0, 0, 255]}', "a|b", (RED, BLUE)),
        ("class_names.txt", "_background_\na\n", "_background_|a", (None, None)),
        ("labels.txt", "__ignore__\n_background_\na\n", "_background_|a", (None, None)),
        ("classes.txt", "\ufeffno\nyes, or so\n", "no|yes, or so", (None, None)),
        ("classes.yml", "[a, b]", "a|b", (None, None)),
        ("Classes.yaml", "names: {a: 0, b: 1}", "a|b", (None, None)),
        ("classes.yaml", "names: [no, yes, off, 1e3, 2024-01-01]", "no|yes|off|1e3|2024-01-01", (None,) * 5),
        ("classes.yaml", "names: {0: off, 1: on}\ncolors: {on: blue, off: [200, 0, 10]}", "off|on", (RED, BLUE)),
        ("classes.yaml", "names: {'0': null, '1': true}", "null|true", (None, None)),
    ],
)
def test_forms(tmp_path, name, text, names, palette):
    (tmp_path / name).write_text(text, encoding="utf-8")
    classes = find_classes(tmp_path)
    assert ("|".join(classes.names), classes.palette) == (names, palette)
    assert len(set(classes.colors)) == len(classes.names)


def test_this_projects_own_file_comes_first(tmp_path):
    (tmp_path / "labelmap.txt").write_text("a:1,2,3::\nb:4,5,6::\n")
    (tmp_path / "classes.yaml").write_text("names: [c, d]")
    assert find_classes(tmp_path).names == ("c", "d")


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("labelmap.txt", "a:200,0::\n", "this line is no label:red,green,blue"),
        ("class_dict.csv", "a,b\n1,2\n", "no column of names, the columns are a, b"),
        ("class_dict.csv", "name,r,g,b\na,1\n", "no table of classes"),
        ("objectInfo150.txt", "Idx\tName\nx\twall\n", "no table of classes"),
        ("label_colors.txt", "1 2 3\n", "no table of classes"),
        ("obj_class_to_machine_color.json", "[1", "it was cut off"),
        ("obj_class_to_machine_color.json", "[" * 5000, "not JSON that anyone writes"),
        ("obj_class_to_machine_color.json", '"a"', "no object of names and their colours"),
        ("classes.yaml", "names: [a, b]\nnames: [c, d]", "stands twice"),
        ("class_names.txt", "\n".join(map(str, range(50_000))), "50000 classes, expected 2 to 255"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, name, text, what):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=what) as caught:
        find_classes(tmp_path)
    assert caught.value.where == tmp_path / name
    assert caught.value.fix


def test_as_many_values_as_names(tmp_path):
    (tmp_path / "classes.yaml").write_text("names: [a, b]")
    with pytest.raises(InputError, match=r"masks\.values has 3 numbers, and there are 2 names"):
        find_classes(tmp_path, values=(0, 1, 2))
    assert find_classes(tmp_path, values=(0, 255)).values == (0, 255)


def test_a_file_in_the_part_to_train_on(tmp_path):
    """As Roboflow writes it."""
    for part in ("train", "valid"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, cat\n")
    assert find_classes(tmp_path).names == ("background", "cat")
    (tmp_path / "codes.txt").write_text("a\nb\nc\n")  # of fast.ai's CamVid
    assert find_classes(tmp_path).names == ("a", "b", "c")
