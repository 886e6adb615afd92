"""Pascal VOC and YOLO become COCO's format: the same boxes, and what is wrong is named by file and line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from boxes_example import picture, voc_file, voc_object
from numpy.typing import NDArray
from PIL import Image

import fastitpn
from fastitpn.cli.main import main
from fastitpn.data.detection.converters import Converted
from fastitpn.data.detection.images import detection_images, detection_split
from fastitpn.data.detection.masks import unpack_masks
from fastitpn.errors import InputError


def convert(data: Path, out: Path, **keys: object) -> Converted:
    """As on the command line."""
    return fastitpn.convert_data(data=data, out=out, **keys)


@pytest.mark.parametrize("copy", [False, True])
def test_voc(voc, tmp_path, copy):
    written = convert(voc, tmp_path / "out", copy=copy)
    assert written.classes == ("car", "dog")
    assert (written.num_images, written.num_annotations) == (3, 3)
    if copy:
        shutil.rmtree(voc)
    train, val = detection_split(tmp_path / "out")
    assert [path.name for path in train.paths] == ["a.jpg", "b.jpg"]
    assert train.classes.names == ("car", "dog")
    things = train.annotations(0)
    assert things.boxes.tolist() == [[0, 0, 30, 20], [10, 5, 20, 10]]
    assert things.labels.tolist() == [1, 0]
    assert things.crowd.tolist() == [False, True]
    assert val.annotations(0).boxes.tolist() == [[2, 3, 12, 13]]
    assert not train.has_masks


def test_voc_beside_the_images(voc, tmp_path):
    flat = tmp_path / "flat"
    for part, name in (("train", "a"), ("valid", "c")):
        (flat / part).mkdir(parents=True)
        shutil.copy(voc / "Annotations" / f"{name}.xml", flat / part)
        shutil.copy(voc / "JPEGImages" / f"{name}.jpg", flat / part / f"{name}.JPG")
    train, val = (detection_images(file) for file in convert(flat, tmp_path / "out").files)
    assert (len(train), len(val)) == (1, 1)
    assert train.annotations(0).boxes.tolist() == [[0, 0, 30, 20], [10, 5, 20, 10]]
    assert convert(flat / "train", tmp_path / "one").files == (tmp_path / "one" / "annotations.json",)


class TestVocMasks:
    """PNGs of the folder SegmentationObject: 0 is nothing, 255 void, any other number a thing."""

    @pytest.fixture
    def numbers(self, voc) -> NDArray[np.uint8]:
        """Of the image `a`: its dog has number 1 and a void rim; its car is difficult, so it is void."""
        numbers = np.full((20, 30), 255, np.uint8)
        numbers[1:19, 1:29] = 1
        numbers[5:10, 10:20] = 255
        return numbers

    def paint(self, voc: Path, name: str, numbers: NDArray[np.uint8]) -> Path:
        path = voc / "SegmentationObject" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        image = Image.fromarray(numbers)
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
        image.save(path)
        return path

    def test_they_are_those_of_the_boxes(self, voc, numbers, tmp_path):
        self.paint(voc, "a", numbers)
        small = np.zeros((20, 30), np.uint8)
        small[5:10, 4:9] = 1
        self.paint(voc, "c", small)
        written = convert(voc, tmp_path / "out")
        assert (written.num_annotations, written.num_masks) == (3, 3)
        train, val = detection_split(tmp_path / "out", with_masks=True)
        things = train.annotations(0)
        dog, car = unpack_masks(things.masks, 20, 30).numpy()
        assert np.array_equal(dog, numbers == 1)
        assert (car.sum(), car[5:10, 10:20].sum()) == (50, 50)  # its box
        assert things.area.tolist() == [18 * 28 - 50, 50]
        assert things.boxes.tolist() == [[0, 0, 30, 20], [10, 5, 20, 10]]
        assert np.array_equal(unpack_masks(val.annotations(0).masks, 20, 30)[0].numpy(), small == 1)

    def test_numbers_in_any_order(self, voc, tmp_path):
        """By overlap; and where that says nothing, the n-th object has the number n."""
        boxes = [(1, 1, 10, 10), (11, 1, 20, 20), (21, 1, 30, 20), (21, 1, 30, 20)]
        voc_file(voc / "Annotations" / "a.xml", *(voc_object("dog", *box) for box in boxes))
        numbers = np.zeros((20, 30), np.uint8)
        numbers[0:10, 0:10], numbers[0:20, 10:20] = 7, 1
        numbers[0:20:2, 20:30], numbers[1:20:2, 20:30] = 4, 3
        self.paint(voc, "a", numbers)
        [file] = convert(voc, tmp_path / "out", with_masks=True).files  # c of the other part has none
        masks = unpack_masks(detection_images(file).annotations(0).masks, 20, 30).numpy()
        for mask, number in zip(masks, (7, 1, 3, 4), strict=True):
            assert np.array_equal(mask, numbers == number)

    def test_images_without_them(self, voc, numbers, tmp_path, capsys):
        """Which VOC has more of: all, or only those with masks, or boxes alone."""
        self.paint(voc, "a", numbers)
        counts = {}
        for masks in (None, True, False):
            written = convert(voc, tmp_path / str(masks), with_masks=masks)
            counts[masks] = (written.num_images, written.num_annotations, written.num_masks)
        said = "left out, because something in them has no mask: 1 of 1 images of val"
        assert capsys.readouterr().out.count(said) == 1
        assert counts == {None: (3, 3, 2), True: (2, 2, 2), False: (3, 3, 0)}  # b has nothing in it
        with pytest.raises(InputError, match="no annotation of this file has a mask"):
            detection_split(tmp_path / "None", with_masks=True)
        (voc / "SegmentationObject" / "a.png").unlink()
        with pytest.raises(InputError, match="no image of this folder has a mask for every object"):
            convert(voc, tmp_path / "out", with_masks=True)

    @pytest.mark.parametrize(
        ("spoil", "kind"),
        [
            (lambda path: path.write_text("text"), "masks that cannot be read"),
            (
                lambda path: Image.fromarray(np.arange(600, dtype=np.uint16).reshape(20, 30)).save(path),
                "masks that cannot",
            ),
            (lambda path: Image.new("RGB", (30, 20), "red").save(path), "masks that cannot be read"),
            (lambda path: Image.new("L", (20, 30)).save(path), "masks of another size"),
            (lambda path: Image.new("L", (30, 20), 3).save(path), "mask of no object"),
        ],
    )
    def test_what_is_wrong_is_named(self, voc, tmp_path, spoil, kind):
        voc_file(voc / "Annotations" / "a.xml", voc_object("dog", 1, 1, 3, 3))
        path = self.paint(voc, "a", np.zeros((20, 30), np.uint8))
        spoil(path)
        with pytest.raises(InputError, match=f"1 x {kind}") as caught:
            convert(voc, tmp_path / "out")
        assert str(path) in caught.value.where
        written = convert(voc, tmp_path / "out", on_error="skip")
        assert written.num_images == (3 if "no object" in kind else 2)

    def test_lists_of_segmentation_alone(self, voc, tmp_path):
        (voc / "ImageSets" / "Main").rename(voc / "ImageSets" / "Segmentation")
        assert convert(voc, tmp_path / "out").num_images == 3


@pytest.mark.parametrize("copy", [False, True])
def test_yolo(yolo, tmp_path, copy):
    written = convert(yolo, tmp_path / "out", copy=copy)
    assert written.classes == ("dog", "car")
    if copy:
        shutil.rmtree(yolo)
    train, val = detection_split(tmp_path / "out", with_masks=False)
    assert [path.name for path in train.paths] == ["a.jpg", "b.jpg", "c.jpg"]
    things = train.annotations(0)
    assert things.labels.tolist() == [1, 0]
    assert things.boxes[0].tolist() == pytest.approx([12, 5, 18, 15], abs=1e-4)
    assert things.boxes[1].tolist() == pytest.approx([3, 4, 15, 12], abs=1e-4)
    assert things.area.tolist() == pytest.approx([60, 96])
    assert len(train.annotations(1)) == len(train.annotations(2)) == 0
    assert val.annotations(0).boxes.tolist() == [[0, 0, 15, 10]]


def test_yolo_outlines_are_masks(yolo, tmp_path):
    (yolo / "labels" / "train" / "a.txt").write_text("0 0.1 0.2 0.5 0.2 0.5 0.6 0.1 0.6\n")
    convert(yolo, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "annotations_train.json").read_text())
    assert content["annotations"][0]["segmentation"][0] == pytest.approx([3, 4, 15, 4, 15, 12, 3, 12])
    assert detection_images(tmp_path / "out" / "annotations_train.json").has_masks


def test_yolo_in_other_layouts(yolo, tmp_path):
    moved = tmp_path / "moved"
    for part in ("train", "val"):
        for kind in ("images", "labels"):
            shutil.copytree(yolo / kind / part, moved / ("valid" if part == "val" else part) / kind)
    names = {"names": ["dog", "car"], "nc": 2, "train": "../train/images", "val": "../valid/images"}
    (moved / "data.yaml").write_text(yaml.safe_dump(names))
    flat = tmp_path / "flat"
    for kind in ("images", "labels"):
        for file in (yolo / kind / "train").iterdir():
            flat.mkdir(exist_ok=True)
            shutil.copy(file, flat)
    (flat / "classes.txt").write_text("dog\ncar\n")
    listed = tmp_path / "listed"
    shutil.copytree(yolo, listed)
    (listed / "train.txt").write_text("./images/train/a.jpg\n")
    (listed / "data.yaml").write_text(yaml.safe_dump({"names": ["dog", "car"], "train": "train.txt"}))
    counts = {name: convert(tmp_path / name, tmp_path / f"{name}-out") for name in ("moved", "flat", "listed")}
    assert {name: [file.name for file in written.files] for name, written in counts.items()} == {
        "moved": ["annotations_train.json", "annotations_val.json"],
        "flat": ["annotations.json"],
        "listed": ["annotations_train.json", "annotations_val.json"],
    }
    assert [written.num_images for written in counts.values()] == [4, 3, 2]


@pytest.mark.parametrize(
    ("line", "kind", "where"),
    [
        ("2 0.5 0.5 0.2 0.2", "unknown class", "line 2: class 2, but there are 2 names"),
        ("0.5 0.5 0.5 0.2 0.2", "line of another form", "line 2: '0.5 0.5 0.5 0.2 0.2' is neither"),
        ("0 0.5 0.5 0.2", "line of another form", "line 2: '0 0.5 0.5 0.2' is neither"),
        ("0 0.5 0.5 0.2 0.2 0.9", "line of another form", "is neither"),
        ("0 0.5 x 0.2 0.2", "line of another form", "is neither"),
        ("0 0.5 nan 0.2 0.2", "line of another form", "is neither"),
        ("0 0.5 0.5 0 0.2", "box of no size", "line 2: its box is 0 px wide"),
        ("0 5 5 0.2 0.2", "box outside of its image", "line 2: its box is outside of its image"),
    ],
)
def test_lines_that_are_wrong(yolo, tmp_path, capsys, line, kind, where):
    file = yolo / "labels" / "train" / "a.txt"
    file.write_text(f"1 0.5 0.5 0.2 0.5\n{line}\n")
    with pytest.raises(InputError, match=f"1 x {kind}") as caught:
        convert(yolo, tmp_path / "out")
    assert str(file) in caught.value.where
    assert where in caught.value.where
    assert not (tmp_path / "out").exists()
    assert convert(yolo, tmp_path / "out", on_error="skip").num_annotations == 2
    assert f"1 annotation left out (1 x {kind})" in capsys.readouterr().out


def test_yolo_text_files_without_their_images(yolo, tmp_path):
    """Those of boxes: an empty one says nothing, and a read-me is none."""
    labels = yolo / "labels" / "train"
    (labels / "empty.txt").touch()
    (labels / "README.txt").write_text("These are the boxes of 2024")
    assert convert(yolo, tmp_path / "out").num_images == 4
    shutil.copy(labels / "a.txt", labels / "lost.txt")
    with pytest.raises(InputError, match="1 x text file without its image") as caught:
        convert(yolo, tmp_path / "out")
    assert f"{labels / 'lost.txt'}: there is no image lost" in caught.value.where
    assert convert(yolo, tmp_path / "out", on_error="skip").num_images == 4


def test_parts_of_another_conversion_are_in_the_way(yolo, voc, tmp_path):
    out = tmp_path / "out"
    convert(yolo, out)
    before = {file: file.read_bytes() for file in out.iterdir()}
    (voc / "ImageSets" / "Main" / "val.txt").unlink()
    with pytest.raises(InputError, match="annotations of another conversion") as caught:
        convert(voc, out)
    assert "annotations_val.json" in caught.value.what
    assert {file: file.read_bytes() for file in out.iterdir()} == before
    assert convert(yolo, out).num_images == 4  # the same again replaces its own


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda data: (data / "Annotations/a.xml").write_text("<annotation><obj"), "XML file that cannot be read"),
        (lambda data: (data / "Annotations/a.xml").unlink(), "XML file that cannot be read"),
        (lambda data: (data / "JPEGImages/a.jpg").unlink(), "missing image file"),
        (lambda data: (data / "JPEGImages/a.jpg").write_text("no image"), "image that cannot be read"),
        (lambda data: voc_file(data / "Annotations/a.xml", width=31), "image of another size"),
        (lambda data: voc_file(data / "Annotations/a.xml", voc_object("dog", 9, 9, 3, 12)), "box of no size"),
        (lambda data: voc_file(data / "Annotations/a.xml", voc_object("", 1, 1, 3, 3)), "object without name or box"),
        (lambda data: voc_file(data / "Annotations/a.xml", "<object><name>a</name></object>"), "object without name"),
    ],
)
def test_voc_that_is_wrong(voc, tmp_path, spoil, kind):
    spoil(voc)
    with pytest.raises(InputError, match=f"1 x {kind}") as caught:
        convert(voc, tmp_path / "out")
    assert "a.xml" in caught.value.where or "a.jpg" in caught.value.where
    assert convert(voc, tmp_path / "out", on_error="skip").num_annotations == 1


@pytest.mark.parametrize(
    ("setup", "what"),
    [
        (lambda data: None, "there is no such file or folder"),
        (
            lambda data: picture(data / "a.jpg"),
            "neither LabelMe nor Label Studio nor CVAT for images nor Pascal VOC nor DOTA nor YOLO nor CSV of boxes",
        ),
        (lambda data: voc_file(data / "a.xml"), "1 problem in the annotations and images: 1 x missing image file"),
        (lambda data: (voc_file(data / "a.xml"), picture(data / "a.jpg")), "no boxes in this folder"),
        (lambda data: (data / "labels").mkdir(parents=True), "the names of the classes are nowhere"),
        (lambda data: [picture(data / "a.jpg"), (data / "a.yaml").write_text("names: [a, a]")], "names of the classes"),
        (lambda data: [picture(data / "a.jpg"), (data / "a.yaml").write_text("names: [a")], "cannot read this YAML"),
        (lambda data: [picture(data / "a.jpg"), (data / "a.yaml").write_text("names: [a]")], "none of 1 images has a"),
    ],
)
def test_folders_that_are_wrong(tmp_path, setup, what):
    setup(tmp_path / "data")
    with pytest.raises(InputError) as caught:
        convert(tmp_path / "data", tmp_path / "out")
    assert what in caught.value.what
    assert caught.value.expected
    assert caught.value.fix


def test_the_command(yolo, tmp_path, capsys):
    assert main(["data", "convert", f"data={yolo}", f"out={tmp_path / 'out'}"]) == 0
    said = capsys.readouterr().out
    assert "done: 4 images, 3 boxes of 2 classes, 1 with masks, in annotations_train.json, annotations_val.json" in said
    assert "with_masks=true uses only images that have them all" in said
    assert main(["data", "convert", f"data={yolo}", "with_masks=false", f"out={tmp_path / 'out'}"]) == 0
    assert "done: 4 images, 3 boxes of 2 classes in annotations_train.json, a" in capsys.readouterr().out
    assert main(["data", "convert", f"data={yolo}", "form=voc", f"out={tmp_path / 'out'}"]) == 2
    assert "no XML files of Pascal VOC in this folder" in capsys.readouterr().err
