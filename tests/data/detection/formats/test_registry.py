"""A format is one file and one line: what is registered is trained on, evaluated, checked and converted."""

import json
from pathlib import Path

import numpy as np
import pytest
from boxes_example import picture, voc_file, voc_object
from extending.label_format import FORMAT
from PIL import Image

import fastitpn
from fastitpn.data.detection.annotations import DetectionImages
from fastitpn.data.detection.formats.registry import FORMATS, layouts, recognise
from fastitpn.data.detection.images import detection_images, detection_split, left_out_of
from fastitpn.errors import InputError


def assert_equal(first: DetectionImages, second: DetectionImages) -> None:
    """All that training sees; paths may be written in another way."""
    assert [path.resolve() for path in first.paths] == [path.resolve() for path in second.paths]
    assert (first.classes, first.sizes, first.has_masks) == (second.classes, second.sizes, second.has_masks)
    for index in range(len(first)):
        assert first.image_ids(index) == second.image_ids(index)
        these, those = first.annotations(index), second.annotations(index)
        assert these.masks == those.masks
        for name in ("boxes", "labels", "crowd", "area", "ids"):
            assert getattr(these, name).equal(getattr(those, name)), name


@pytest.mark.parametrize("with_masks", [None, False])
@pytest.mark.parametrize("name", ["voc", "yolo"])
def test_as_it_is_or_converted(request, tmp_path, name, with_masks):
    data = request.getfixturevalue(name)
    fastitpn.convert_data(data=data, out=tmp_path / "coco", with_masks=with_masks)
    if name == "yolo" and with_masks is None:  # not every object has an outline, and masks are for all or none
        (data / "labels" / "train" / "a.txt").write_text("0 0.1 0.2 0.5 0.2 0.51 0.6 0.1 0.613\n")
        (data / "labels" / "val" / "d.txt").write_text("0 0.1 0.2 0.5 0.2 0.5 0.6\n")
        fastitpn.convert_data(data=data, out=tmp_path / "coco")
    pairs = zip(
        detection_split(data, with_masks=with_masks),
        detection_split(tmp_path / "coco", with_masks=with_masks),
        strict=True,
    )
    for native, converted in pairs:
        assert_equal(native, converted)
    assert_equal(
        detection_images(data, with_masks=with_masks), detection_images(tmp_path / "coco", with_masks=with_masks)
    )


def test_what_is_held_out_is_the_same(tmp_path):
    data = tmp_path / "flat"
    for number in range(10):
        picture(data / f"{number}.jpg")
        voc_file(data / f"{number}.xml", voc_object("dog", 1 + number, 2, 12 + number, 9))
    fastitpn.convert_data(data=data, out=tmp_path / "coco")
    for seed in (0, 1):
        parts = detection_split(data, val_ratio=0.3, seed=seed)
        assert [len(part) for part in parts] == [7, 3]
        for native, converted in zip(parts, detection_split(tmp_path / "coco", val_ratio=0.3, seed=seed), strict=True):
            assert_equal(native, converted)


def test_problems_of_both_parts_come_at_once(voc, capsys):
    voc_file(voc / "Annotations" / "a.xml", voc_object("dog", 1, 1, 30, 20), voc_object("dog", 40, 1, 50, 20))
    (voc / "JPEGImages" / "c.jpg").write_bytes((voc / "JPEGImages" / "c.jpg").read_bytes()[:-40])
    voc_file(voc / "Annotations" / "d.xml", voc_object("dog", 1, 1, 30, 20), image="gone.jpg")
    lists = voc / "ImageSets" / "Main"
    (lists / "val.txt").write_text("c\nd\n")
    with pytest.raises(InputError, match="3 problems") as caught:
        detection_split(voc)
    for text in (f"{voc / 'Annotations' / 'a.xml'}: object 1 (dog): its box", "c.jpg: cannot read", "gone.jpg: "):
        assert text in caught.value.where
    (lists / "val.txt").write_text("c\nd\na\n")
    train, val = detection_split(voc, on_error="skip")
    assert (len(train), len(val)) == (2, 1)
    assert left_out_of(train, val)[1] == (2, 2)  # that of a.xml in each part
    assert "2 images and 2 annotations left out" in capsys.readouterr().out


def test_annotations_without_masks_are_named_by_their_files(voc):
    voc_file(voc / "Annotations" / "c.xml", voc_object("dog", 3, 4, 12, 13))
    for name, size in (("a", 1), ("c", 0)):
        mask = np.full((20, 30), size, np.uint8)
        mask[3:13, 2:12] = 1
        (voc / "SegmentationObject").mkdir(exist_ok=True)
        Image.fromarray(mask).save(voc / "SegmentationObject" / f"{name}.png")
    voc_file(voc / "Annotations" / "b.xml", voc_object("dog", 3, 4, 12, 13))
    with pytest.raises(InputError, match="1 x annotation without mask") as caught:
        detection_split(voc, voc, with_masks=True)
    assert f"{voc / 'Annotations' / 'b.xml'}: annotation 3, image 2: it has no mask" in caught.value.where


def test_where_images_are_is_said_by_the_data(voc):
    with pytest.raises(InputError, match="Pascal VOC, which says itself where its images are"):
        detection_split(voc, images=voc / "JPEGImages")


def test_a_part_that_is_not_there(yolo):
    (yolo / "data.yaml").write_text("names: [dog, car]")
    for name in ("train", "val"):
        (yolo / "images" / name).rename(yolo / "images" / f"no {name}")
    (yolo / "images" / "test").mkdir()
    (yolo / "images" / "no train" / "a.jpg").rename(yolo / "images" / "test" / "a.jpg")
    (yolo / "labels" / "train").rename(yolo / "labels" / "test")
    assert [path.name for path in detection_images(yolo, with_masks=False).paths] == ["a.jpg"]


def test_data_of_no_format_is_told_all_layouts(tmp_path):
    picture(tmp_path / "photos" / "a.jpg")
    assert recognise(tmp_path / "photos") is None
    for read in (detection_split, detection_images):
        with pytest.raises(InputError, match="annotations to use in this folder") as caught:
            read(tmp_path / "photos")
        assert caught.value.expected == layouts()
    for part in ("COCO annotations: a JSON file", "Pascal VOC: FOLDER/Annotations", "YOLO: FOLDER/data.yaml"):
        assert part in layouts()


@pytest.fixture
def toy(tmp_path):
    """Data of a registered format: three images to train and one to validate on."""
    data = tmp_path / "toy"
    data.mkdir()
    rng = np.random.default_rng(0)
    for name in "abcd":
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(data / f"{name}.png")
    lines = ["train,a.png,dog,1,2,10,12", "train,b.png,car,4,4,20,20", "train,c.png,dog,9,2,30,12"]
    (data / "boxes.csv").write_text("\n".join([*lines, "val,d.png,car,3,3,15,25"]))
    FORMATS.register("box_table", FORMAT)
    yield data
    FORMATS.unregister("box_table")


class TestToyFormat:
    """Registered by the test alone."""

    def test_training_and_evaluation_read_it(self, toy):
        train, val = detection_split(toy, with_masks=False)
        assert [path.name for path in train.paths] == ["a.png", "b.png", "c.png"]
        assert train.annotations(1).boxes.tolist() == [[4, 4, 24, 24]]
        assert train.classes.names == val.classes.names == ("car", "dog")
        assert detection_images(toy, classes=train.classes).labels.tolist() == [0]

    def test_doctor(self, toy, tmp_path):
        checked = fastitpn.doctor(toy, out=tmp_path / "doctor")
        assert (checked.form, checked.images, checked.clean) == ("Table of boxes", {"train": 3, "val": 1}, True)
        assert checked.counts == {"car": {"train": 1, "val": 1}, "dog": {"train": 2, "val": 0}}
        (toy / "boxes.csv").write_text((toy / "boxes.csv").read_text() + "\nval,d.png,car,90,3,15,25")
        (toy / "c.png").write_text("no image")
        checked = fastitpn.doctor(toy, out=tmp_path / "doctor")
        assert [(problem.kind, problem.files[0].name, problem.part) for problem in checked.problems] == [
            ("image that cannot be read", "c.png", "train"),
            ("box outside of its image", "boxes.csv", "val"),
        ]

    def test_convert(self, toy, tmp_path):
        for form in (None, "box_table"):
            written = fastitpn.convert_data(data=toy, out=tmp_path / str(form), form=form)
            assert [file.name for file in written.files] == ["annotations_train.json", "annotations_val.json"]
            content = json.loads(written.files[1].read_text())
            assert content["annotations"][0]["bbox"] == [3, 3, 15, 25]
        for wrong in ("coco", "line"):
            with pytest.raises(InputError, match=f"form is '{wrong}'") as caught:
                fastitpn.convert_data(data=toy, out=tmp_path / "out", form=wrong)
            assert caught.value.expected == "one of labelme, label_studio, cvat, voc, dota, yolo, csv, box_table"

    def test_data_of_no_format_is_told_of_it(self, toy, tmp_path):
        picture(tmp_path / "photos" / "a.jpg")
        with pytest.raises(
            InputError,
            match="nor YOLO nor CSV of boxes nor Table of boxes is in this folder",
        ) as caught:
            fastitpn.convert_data(data=tmp_path / "photos", out=tmp_path / "out")
        assert "Table of boxes: FOLDER/boxes.csv" in caught.value.expected

    def test_docs(self, toy, monkeypatch):
        monkeypatch.syspath_prepend(Path(__file__).parents[4] / "docs" / "_site")
        import generated

        assert "| `detect` | `box_table` | FOLDER/boxes.csv with lines of part" in generated.label_formats()
        assert "`segment`" not in generated.label_formats(["detect"])
