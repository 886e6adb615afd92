"""Annotations find their images, in each layout; folders that are none are answered with what was expected."""

import shutil
from pathlib import Path

import pytest
from coco_example import write

from fastitpn.data.detection.formats.coco import find_coco
from fastitpn.data.detection.images import DetectionClasses, detection_images, detection_split
from fastitpn.errors import InputError


def make(folder: Path, file: str, images: str, shift: int = 0) -> Path:
    """Writes the example with its file and its images where they are asked for."""
    made = folder / "made"
    annotations = write(made, lambda content: [image.update(id=image["id"]) for image in content["images"]])
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / images).mkdir(parents=True, exist_ok=True)
    shutil.move(annotations, folder / file)
    for image in made.glob("*.png"):
        shutil.move(image, folder / images / image.name)
    made.rmdir()
    return folder


def test_the_scenes(detect_scenes):
    train, val = detection_split(detect_scenes)
    assert (len(train), len(val)) == (10, 5)
    assert train.path == detect_scenes / "annotations_train.json"
    assert {path.parent.name for path in val.paths} == {"val"}
    assert train.classes == val.classes
    assert len(train.classes) == 3
    assert (train.has_masks, val.has_masks) == (True, True)


@pytest.mark.parametrize(
    ("train", "val"),
    [
        (("annotations_train.json", "train"), ("annotations_val.json", "val")),
        (("annotations/instances_train2017.json", "train2017"), ("annotations/instances_val2017.json", "val2017")),
        (
            ("annotations/instances_train2017.json", "images/train2017"),
            ("annotations/instances_val2017.json", "images"),
        ),
        (("train/_annotations.coco.json", "train"), ("valid/_annotations.coco.json", "valid")),
        (("train/labels.json", "train/images"), ("validation/labels.json", "validation/images")),
        (("annotations/train.json", "images/train"), ("annotations/val.json", "images/val")),
        (("train.json", "images"), ("val.json", "images")),
        (("train.json", "."), ("val.json", ".")),
    ],
)
def test_layouts(tmp_path, train, val):
    make(make(tmp_path, *train), *val)
    (tmp_path / "annotations").mkdir(exist_ok=True)
    (tmp_path / "annotations" / "captions_train2017.json").write_text("{}")
    parts = detection_split(tmp_path)
    for part, (file, images) in zip(parts, (train, val), strict=True):
        assert part.path == tmp_path / file
        assert {path.parent.resolve() for path in part.paths} == {(tmp_path / images).resolve()}
    assert detection_images(tmp_path).path == tmp_path / val[0]


@pytest.mark.parametrize(("file", "images"), [("result.json", "images"), ("annotations/all.json", "all")])
def test_one_file_is_split_by_the_seed(tmp_path, detect_scenes, file, images):
    shutil.copytree(detect_scenes / "train", tmp_path / images)
    (tmp_path / file).parent.mkdir(exist_ok=True)
    shutil.copy(detect_scenes / "annotations_train.json", tmp_path / file)
    names = []
    for seed in (0, 0, 1):
        parts = detection_split(tmp_path, val_ratio=0.3, seed=seed)
        names.append([[path.name for path in part.paths] for part in parts])
        assert (len(parts[0]), len(parts[1])) == (7, 3)
        assert not set(names[-1][0]) & set(names[-1][1])
        whole = detection_images(tmp_path)
        for index, path in enumerate(parts[1].paths):
            place = whole.paths.index(path)
            assert parts[1].image_ids(index) == whole.image_ids(place)
            assert parts[1].annotations(index).masks == whole.annotations(place).masks
            assert parts[1].annotations(index).boxes.tolist() == whole.annotations(place).boxes.tolist()
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(("file", "images"), [("annotations_train.json", "train"), ("labels.json", "images")])
def test_a_part_train_alone_is_said_to_be_split(tmp_path, detect_scenes, capsys, file, images):
    shutil.copytree(detect_scenes / "train", tmp_path / images)
    shutil.copy(detect_scenes / "annotations_train.json", tmp_path / file)
    train, val = detection_split(tmp_path, val_ratio=0.2)
    assert (len(train), len(val)) == (8, 2)
    said = "there is no part val: 20% of train are held out to validate on" in capsys.readouterr().out
    assert said == (images == "train")


def test_a_part_train_alone_is_evaluated_and_said(yolo, capsys):
    (yolo / "data.yaml").write_text("train: images/train\nnames: [cat, dog]\n")
    shutil.rmtree(yolo / "images" / "val")
    assert {path.parent.name for path in detection_images(yolo).paths} == {"train"}
    assert "evaluated on the part train: there is no other" in capsys.readouterr().out


def test_files_by_name(tmp_path):
    make(tmp_path, "one/first.json", "photos")
    make(tmp_path, "two/second.json", "two/pictures")
    with pytest.raises(InputError, match="none of the 3 images of this file is there") as caught:
        detection_images(tmp_path / "one" / "first.json")
    assert "images=FOLDER" in caught.value.fix
    with pytest.raises(InputError, match="there is no such folder") as caught:
        detection_images(tmp_path / "one" / "first.json", images=tmp_path / "nowhere")
    assert caught.value.where == tmp_path / "nowhere"
    train = detection_images(tmp_path / "one" / "first.json", images=tmp_path / "photos")
    assert {path.parent for path in train.paths} == {tmp_path / "photos"}
    shutil.copytree(tmp_path / "two" / "pictures", tmp_path / "photos", dirs_exist_ok=True)
    parts = detection_split(
        tmp_path / "one" / "first.json", tmp_path / "two" / "second.json", images=tmp_path / "photos"
    )
    assert [part.path.name for part in parts] == ["first.json", "second.json"]


def test_another_folder_to_validate_on(tmp_path):
    make(make(tmp_path / "one", "annotations_train.json", "train"), "annotations_val.json", "val")
    make(tmp_path / "two", "_annotations.coco.json", ".")
    assert detection_split(tmp_path / "one", tmp_path / "two")[1].path == tmp_path / "two" / "_annotations.coco.json"


def test_json_of_other_tools_beside_the_annotations(tmp_path):
    folder = make(tmp_path, "result.json", "images")
    (folder / "settings.json").write_text('{"theme": "dark"}')
    assert detection_images(folder).path == folder / "result.json"


def test_evaluation_takes_the_labels_of_the_model(tmp_path):
    make(tmp_path, "result.json", "images")
    trained = DetectionClasses(names=("cat", "dog", "car"), ids=(1, 2, 3))
    images = detection_images(tmp_path, classes=trained)
    assert images.annotations(0).labels.tolist() == [1, 2]
    assert images.classes == DetectionClasses(names=("cat", "dog", "car"), ids=(1, 18, 3))


def test_problems_of_both_parts_come_at_once(tmp_path, capsys):
    make(make(tmp_path, "annotations_train.json", "train"), "annotations_val.json", "val")
    (tmp_path / "train" / "5.png").write_text("no image")
    (tmp_path / "val" / "6.png").unlink()
    with pytest.raises(InputError, match="2 problems in the annotations and images") as caught:
        detection_split(tmp_path)
    assert "train/5.png: image 5: cannot read" in caught.value.where
    assert "val/6.png: image 6: this image file does not exist" in caught.value.where
    train, val = detection_split(tmp_path, on_error="skip")
    assert (len(train), len(val)) == (2, 2)
    said = capsys.readouterr().out
    assert "2 images and 3 annotations left out (1 x image that cannot be read, 1 x missing image file)" in said


@pytest.mark.parametrize(
    ("setup", "what"),
    [
        (lambda folder: None, "there is no such file or folder"),
        (
            lambda folder: (folder / "photos").mkdir(parents=True),
            "no COCO annotations to use in this folder, which has",
        ),
        (lambda folder: folder.mkdir(), "which has nothing"),
        (lambda folder: make(make(folder, "train.json", "."), "annotations_train.json", "."), "several files of"),
        (
            lambda folder: make(make(folder, "a.json", "."), "b.json", "."),
            "several files of annotations: a.json, b.json",
        ),
        (lambda folder: write(folder, lambda made: made["annotations"].clear()), "there are no annotations"),
        (lambda folder: write(folder, lambda made: made["images"].clear()), "3 problems"),
        (lambda folder: write(folder, lambda made: [made[key].__delitem__(slice(1, 3)) for key in made]), "only one"),
    ],
)
def test_data_that_is_wrong(tmp_path, setup, what):
    setup(tmp_path / "data")
    with pytest.raises(InputError) as caught:
        detection_split(tmp_path / "data")
    assert what in caught.value.what
    assert caught.value.expected
    assert caught.value.fix


def test_a_folder_without_a_part_for_validation_has_none(tmp_path):
    make(tmp_path, "annotations_train.json", "train")
    assert find_coco(tmp_path, "train") == (tmp_path / "annotations_train.json", tmp_path / "train")
    assert find_coco(tmp_path, "val") is None
    assert find_coco(tmp_path, None) is None
