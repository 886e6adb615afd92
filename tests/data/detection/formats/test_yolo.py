"""YOLO's data as labelling tools and other people's machines have written it."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from boxes_example import picture

from fastitpn.data.detection.formats.registry import recognise
from fastitpn.data.detection.formats.yolo import read_yolo
from fastitpn.data.detection.images import detection_images, detection_split
from fastitpn.data.detection.sources import Source
from fastitpn.errors import InputError

BOX = "0 0.5 0.5 0.2 0.5"
SIDES = (12, 5, 18, 15)
"""Of `BOX`, in pixels of a picture."""


def write(data: Path, files: Mapping[str, str | bytes]) -> Path:
    """Pictures, with their text files beside them or in `labels`, and other files with their content."""
    for name, content in files.items():
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".jpg":
            picture(path)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content, encoding="utf-8")
    return data


def simple(line: str = BOX, part: str = "", number: int = 2) -> dict[str, str | bytes]:
    """So many pictures of a part, each with a line."""
    folder = f"{part}/" * bool(part)
    files: dict[str, str | bytes] = {}
    for place in range(number):
        files |= {f"images/{folder}{place}.jpg": "", f"labels/{folder}{place}.txt": f"{line}\n"}
    return files


def objects(source: Source, part: str = "") -> list[list[tuple[str, tuple[int, ...]]]]:
    """Names and rounded boxes of each image."""
    images = source.parts[part].images
    return [[(thing.name, tuple(map(round, thing.box))) for thing in image.objects] for image in images]


@pytest.mark.parametrize(
    ("names", "label", "name"),
    [
        ("names: [no, yes]", 1, "yes"),
        ("names: [1e3, off]", 0, "1e3"),
        ("names:\n  0: car\n  2: lorry", 2, "lorry"),
        ("names:\n  '0': car\n  '1': lorry", 1, "lorry"),
        ("names:\n  0: car\n  '1': null", 1, "null"),
        ("names:\n  1: car\n  2: lorry", 1, "car"),
        ("names:\n  2: lorry\n  0: car", 0, "car"),
    ],
)
def test_names_are_those_of_their_numbers(tmp_path, names, label, name):
    data = write(tmp_path, {**simple(f"{label}{BOX[1:]}"), "data.yaml": names})
    assert objects(read_yolo(data)) == [[(name, SIDES)]] * 2


@pytest.mark.parametrize(
    ("names", "what"),
    [
        ("names:\n  car: 0", "'car' is no number of a class"),
        ("names:\n  -1: car", "'-1' is no number"),
        ("names: [a, b, a]", "0 and 2 are both 'a'"),
        ("names: [a, [b]]", r"number 1 is \['b'\], not a name"),
        ("names: car", "names is 'car'"),
        ("names:", "this file has no names"),
        ("names: [a]\ntrain: 3\nval: {a: 1}", "val is {'a': '1'}, neither a path"),
        ("names: [a]\nval: x\nvalid: y", "the part val is named twice: x and y"),
        ("names: [a]\nkpt_shape: 17", "kpt_shape is '17'"),
    ],
)
def test_settings_that_are_wrong(tmp_path, names, what):
    with pytest.raises(InputError, match=what) as caught:
        read_yolo(write(tmp_path, {**simple(), "data.yaml": names}))
    assert caught.value.where == tmp_path / "data.yaml"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("place", ["classes.txt", "labels/classes.txt", "obj.names"])
def test_files_of_names(tmp_path, capsys, place, encoding):
    data = write(tmp_path, {**simple(f"1{BOX[1:]}"), place: "Möwe\r\nBär\r\n".encode(encoding)})
    assert recognise(data) == "yolo"
    assert objects(read_yolo(data)) == [[("Bär", SIDES)]] * 2
    assert ("is not in UTF-8: read as cp1252, with the names Möwe, Bär" in capsys.readouterr().out) == (
        encoding == "cp1252"
    )


def test_names_above_a_part_and_empty_lines(tmp_path):
    data = write(tmp_path / "train", simple(f"2{BOX[1:]}"))
    (tmp_path / "classes.txt").write_text("car\n\nlorry\n\n")
    assert objects(read_yolo(data)) == [[("lorry", SIDES)]] * 2


@pytest.mark.parametrize(
    ("settings", "line", "expected"),
    [
        ("kpt_shape: [2, 2]", f"{BOX} 0.3 0.3 0.6 0.32", "keypoints are not"),
        ("kpt_shape: [2, 3]", f"{BOX} 0.3 0.3 2 0.6 0.32 0", "keypoints are not"),
        ("", f"{BOX} 0.3 0.3 2 0.6 0.32 1", "each line has 2 keypoints of three numbers behind its box"),
        ("", f"{BOX} 0.93", "read as a confidence, which is not used"),
        ("kpt_shape: [2, 3]", f"{BOX} 0.3 0.3 2 0.6 0.32 0 0.5", "read as a confidence"),
        ("", BOX.replace(" ", "\t"), ""),
        ("", f"{BOX}\r\n\r\n".replace("0 ", "0.0 ", 1).replace("0.5", "5e-1"), ""),
    ],
)
def test_boxes_with_more_behind_them(tmp_path, capsys, settings, line, expected):
    source = read_yolo(write(tmp_path, {**simple(line), "data.yaml": f"names: [car]\n{settings}\n"}))
    assert objects(source) == [[("car", SIDES)]] * 2
    assert not any(thing.polygons for image in source.parts[""].images for thing in image.objects)
    assert expected in capsys.readouterr().out


def test_oriented_boxes_are_outlines(tmp_path):
    source = read_yolo(write(tmp_path, {**simple("0 0.3 0.2 0.7 0.4 0.6 0.9 0.2 0.7 "), "classes.txt": "a"}))
    assert objects(source) == [[("a", (6, 4, 21, 18))]] * 2
    assert source.parts[""].images[0].objects[0].polygons[0] == pytest.approx((9, 4, 21, 8, 18, 18, 6, 14))


@pytest.mark.parametrize(
    ("settings", "line", "kind", "what"),
    [
        ("", "car 0.45 0.5 0.5 0.6", "line of another form", "it has a name where the number"),
        ("", "0,0.45,0.5,0.5,0.6", "line of another form", "it has commas"),
        ("", "0 0,45 0,5 0,5 0,6", "line of another form", "it has commas"),
        ("", "0 0.45 0.5 0.5 0.6 0.93", "line of another form", "is the last number a confidence?"),
        ("", "0 20 10 70 40", "box in pixels", "is in pixels, not in shares"),
        ("", "0 2 10 70 10 70 40 2 40", "box in pixels", "is in pixels, not in shares"),
        ("kpt_shape: [2, 2]", f"{BOX} 0.3 0.3", "line of another form", "4 numbers of keypoints, as kpt_shape says"),
        ("", f"1{BOX[1:]}", "unknown class", "class 1, but the names are numbered 0, 2"),
    ],
)
def test_an_image_whose_lines_are_all_wrong_is_not_empty(tmp_path, settings, line, kind, what):
    """It is left out; one that has nothing in it stays."""
    names = f"names: {{0: car, 2: lorry}}\n{settings}\n"
    files = {**simple(), "data.yaml": names, "labels/1.txt": line, "images/2.jpg": "", "images/3.jpg": ""}
    source = read_yolo(write(tmp_path, {**files, "labels/3.txt": f"{line}\n{BOX}\n"}))
    assert objects(source) == [[("car", SIDES)], [], [("car", SIDES)]]
    assert [(problem.kind, problem.leaves_out) for problem in source.problems] == [
        (kind, "image"),
        (kind, "annotation"),
    ]
    assert what in source.problems[0].what


@pytest.mark.parametrize("given", ["folder", "data.yaml"])
@pytest.mark.parametrize(
    "layout",
    ["images/train images/val images/test", "train/images valid/images test/images", "Training Validation TEST"],
)
def test_layouts(tmp_path, layout, given):
    """With data.yaml, whose paths stand; test is never trained on."""
    folders = layout.split()
    for number, folder in enumerate(folders):
        labels = folder.replace("images", "labels")
        write(tmp_path, {f"{folder}/{name}.jpg": "" for name in range(number + 1)})
        write(tmp_path, {f"{labels}/{name}.txt": BOX for name in range(number + 1)})
    parts = dict(zip(("train", "val", "test"), folders, strict=True)) if given == "data.yaml" else {}
    write(tmp_path, {"data.yaml": "names: [car]\n" + "".join(f"{part}: {path}\n" for part, path in parts.items())})
    source = read_yolo(tmp_path / "data.yaml" if given == "data.yaml" else tmp_path)
    assert {name: len(part.images) for name, part in source.parts.items()} == {"train": 1, "val": 2, "test": 3}
    assert [len(part) for part in detection_split(tmp_path)] == [1, 2]


def test_lists_of_darknet(tmp_path, capsys):
    """As CVAT writes them: paths begin at a folder called data."""
    files: dict[str, str | bytes] = {}
    for number in range(4):
        sub = "obj_train_data" if number < 3 else "obj_valid_data"
        files |= {f"{sub}/{number}.jpg": "", f"{sub}/{number}.txt": BOX if number else ""}
    files["train.txt"] = "".join(f"data/obj_train_data/{number}.jpg\n" for number in range(3))
    files |= {"valid.txt": "data/obj_valid_data/3.jpg\n", "obj.names": "car\n"}
    files["obj.data"] = "classes = 1\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
    write(tmp_path, files)
    for data in (tmp_path, tmp_path / "obj.data"):
        source = read_yolo(data)
        assert objects(source, "train") == [[], [("car", SIDES)], [("car", SIDES)]]
        assert objects(source, "val") == [[("car", SIDES)]]
    (tmp_path / "obj.data").unlink()
    assert [len(part) for part in detection_split(tmp_path)] == [3, 1]
    (tmp_path / "train.txt").write_text("data/obj_train_data/0.jpg\n/other/obj_train_data/1.jpg\nother/2.jpg\n")
    assert [(problem.kind, problem.what) for problem in read_yolo(tmp_path).problems] == [
        ("missing image file", "it is not there, but line 3 of train.txt names it")
    ]
    said = capsys.readouterr().out
    assert "1 (a path of another machine)" in said
    assert "1 image is beside those of the lists and in none: not used" in said


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ("train: images/train\nval: images/valid", "data.yaml names images/valid for val, which is not there"),
        ("train: /data/none\nval: images/val", "data.yaml names /data/none for train, which is not there"),
        (f"train: {'x' * 300}\nval: images/val", "which is not there"),
        ("train: images/none\nval: images/val", "data.yaml names images/none for train, and no images are in it"),
        ("train: list.txt\nval: images/val", "none of the 2 images of this list is there, the first would be x/0.jpg"),
    ],
)
def test_a_path_that_is_not_there_is_named(tmp_path, settings, what):
    files = {**simple(part="train"), **simple(part="val"), "list.txt": "x/0.jpg\nx/1.jpg\n"}
    write(tmp_path, {**files, "data.yaml": f"names: [car]\n{settings}\n"})
    (tmp_path / "images" / "none").mkdir()
    with pytest.raises(InputError) as caught:
        read_yolo(tmp_path)
    assert what in caught.value.what


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ("path: /elsewhere\ntrain: images/train\nval: images/val", "path: /elsewhere is not there"),
        ("train: /content/set/images/train\nval: images/val", "/content/set/images/train is taken as images/train"),
        ("train: C:\\set\\images\\train\nval: ./images/val", "is taken as images/train"),
        ("train: ../images/train\nval: [images/val]\ntest:", "../images/train is taken as images/train"),
        ("train: images/train\nval: images/val\ntest: images/test", "there is no part test"),
    ],
)
def test_paths_of_another_machine(tmp_path, capsys, settings, line):
    data = write(tmp_path / "set", {**simple(part="train"), **simple(part="val", number=1)})
    write(data, {"data.yaml": f"names: [car]\n{settings}\n"})
    assert [len(part) for part in detection_split(data)] == [2, 1]
    assert line in capsys.readouterr().out


def test_a_val_that_is_empty(tmp_path, capsys):
    data = write(
        tmp_path, {**simple(part="train", number=6), "data.yaml": "names: [car]\ntrain: images/train\nval: images/val"}
    )
    (data / "images" / "val").mkdir()
    assert [len(part) for part in detection_split(data)] == [5, 1]
    assert "images/val, which data.yaml names for val, has no images: there is no part val" in capsys.readouterr().out


def test_notes_of_label_studio(tmp_path):
    data = write(
        tmp_path, {**simple(), "classes.txt": "car", "notes.json": '{"categories": [{"id": 0, "name": "car"}]}'}
    )
    assert recognise(data) == "yolo"
    assert len(detection_images(data)) == 2
