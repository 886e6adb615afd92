"""`fastitpn doctor` as a whole: what it finds in each form of data, and how it ends."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import fastitpn
from fastitpn.cli.main import main
from fastitpn.errors import InputError

pytestmark = pytest.mark.drawn


@pytest.fixture
def check(tmp_path):
    """Runs the function with keys."""
    return lambda data, **keys: fastitpn.doctor(data, **{"out": tmp_path / "out", **keys})


@pytest.fixture
def flowers(scenes, tmp_path):
    """Class folders with train and val; to damage."""
    shutil.copytree(scenes.train, tmp_path / "flowers" / "train")
    shutil.copytree(scenes.val, tmp_path / "flowers" / "val")
    return tmp_path / "flowers"


@pytest.fixture
def streets(segment_scenes, tmp_path):
    """Images with masks; to damage."""
    return shutil.copytree(segment_scenes, tmp_path / "streets")


def kinds(findings):
    return [finding.kind for finding in findings]


def first_class(part):
    folder = sorted(path for path in part.iterdir() if path.is_dir())[0]
    return folder, sorted(folder.iterdir())


def test_clean_data_ends_with_0(flowers, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["doctor", str(flowers), f"out={out}"]) == 0
    streams = capsys.readouterr()
    assert "nothing is wrong" in streams.out
    assert streams.err == ""
    assert (out / "findings.jsonl").read_text() == ""
    page = (out / "report.html").read_text()
    assert "data:image/" in page
    assert "https://" not in page


def test_problems_end_with_1_and_are_listed(flowers, tmp_path, capsys):
    (flowers / "train" / "empty").mkdir()
    _, images = first_class(flowers / "train")
    images[0].write_bytes(images[0].read_bytes()[:600])
    out = tmp_path / "out"
    assert main(["doctor", str(flowers), f"out={out}"]) == 1
    streams = capsys.readouterr()
    assert "2 problems: 1 x class folder without images, 1 x unreadable image" in streams.err
    assert "Traceback" not in streams.err
    assert f"{images[0]}: unreadable image: cannot read this image" in streams.out
    rows = [json.loads(line) for line in (out / "findings.jsonl").read_text().splitlines()]
    assert [(row["kind"], row["files"], row["part"]) for row in rows] == [
        ("class folder without images", [str(flowers / "train" / "empty")], "train"),
        ("unreadable image", [str(images[0])], "train"),
    ]
    assert "cannot read this image" in (out / "report.html").read_text()


def test_many_of_a_kind_do_not_hide_the_others(check, flowers, capsys):
    for number in range(12):
        (flowers / "train" / f"empty{number:02}").mkdir()
    _, images = first_class(flowers / "train")
    images[0].write_bytes(images[0].read_bytes()[:600])
    check(flowers)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert ["empty" in line for line in lines] == [True] * 9 + [False] * 2
    assert f"{images[0]}: unreadable image" in lines[-2]
    assert lines[-1] == "  and 3 more"


def test_leaks_and_duplicates(check, flowers):
    folder, images = first_class(flowers / "train")
    other = sorted((flowers / "train").iterdir())[1]
    leak = shutil.copy(images[0], flowers / "val" / folder.name / "leak.jpg")
    near = flowers / "val" / folder.name / "near.jpg"
    with Image.open(images[1]) as image:
        image.save(near, quality=60)
    shutil.copy(images[2], other / "other.jpg")
    shutil.copy(images[3], folder / "twice.jpg")
    found = check(flowers)
    assert not found.clean
    assert kinds(found.problems) == [
        "same image in several parts",
        "nearly same image in several parts",
        "same image in several classes",
        "same image twice",
    ]
    assert found.problems[0].files == (images[0], leak)
    assert found.problems[1].files == (images[1], near)
    assert found.problems[2].what.endswith(f"as {folder.name} and {other.name}")
    assert found.notes == ()
    assert kinds(check(flowers, similar=None).problems) == [
        kind for kind in kinds(found.problems) if not kind.startswith("nearly")
    ]


def test_notes_count_as_problems_if_strict(check, flowers):
    folder, images = first_class(flowers / "train")
    with Image.open(images[0]) as image:
        image.save(folder / "again.png")
    found = check(flowers)
    assert found.clean
    assert kinds(found.notes) == ["nearly same image twice"]
    assert kinds(check(flowers, strict=True).problems) == ["nearly same image twice"]


def test_classes_that_a_part_lacks(check, flowers, capsys):
    names = sorted(path.name for path in (flowers / "train").iterdir())
    shutil.rmtree(flowers / "val" / names[0])
    shutil.rmtree(flowers / "train" / names[1])
    found = check(flowers)
    assert [finding.what for finding in found.problems] == [f"{names[1]!r} has 2 images in val, none in train"]
    assert [finding.what for finding in found.notes] == [f"{names[0]!r} has 4 images in train, none in val"]
    assert (found.form, found.images) == ("class folders", {"train": 8, "val": 4})
    assert found.counts[names[2]] == {"train": 4, "val": 2}


def test_val_beside_and_a_table(check, scenes, tmp_path):
    assert check(scenes.train, val=scenes.val).images == {"train": 12, "val": 6}
    paths = sorted(scenes.val.rglob("*.jpg"))
    table = tmp_path / "table.csv"
    table.write_text("image,label\n" + "".join(f"{path},{path.parent.name}\n" for path in paths))
    found = check(table)
    assert (found.form, found.images, len(found.counts)) == ("class folders", {"": 6}, 3)
    shutil.copy(paths[0], tmp_path / "copy.jpg")
    other = tmp_path / "other.csv"
    other.write_text(f"image,label\ncopy.jpg,{paths[0].parent.name}\n")
    assert "same image in several parts" in kinds(check(other, val=table).problems)


def test_files_that_are_left_out_and_a_test_part(check, flowers, tmp_path):
    name, images = first_class(flowers / "train")
    for number, file in enumerate(("1.CR2", "2.cr2", "@eaDir/1.jpg/THUMB.jpg")):
        (name / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(images[number], name / file)
    (flowers / "val").rename(flowers / "Testing")
    found = check(flowers, similar=None)
    assert (list(found.images), found.clean) == (["train", "test"], True)
    assert sorted(kinds(found.notes)) == ["folder of a file system", "images that are not read"]
    assert "2 .cr2 files were not read" in " ".join(note.what for note in found.notes)


def test_one_folder_too_many(check, flowers, tmp_path):
    (tmp_path / "zip").mkdir()
    (flowers / "train").rename(tmp_path / "zip" / "Pets")
    found = check(tmp_path / "zip", similar=None)
    assert kinds(found.problems) == ["one class alone"]
    assert f"data={tmp_path}/zip/Pets" in found.problems[0].what


def test_images_without_labels(check, scenes, tmp_path):
    found = check(scenes.unlabelled)
    assert (found.form, found.counts, found.clean) == ("images", {}, True)
    assert check(scenes.train).form == "class folders"
    assert check(scenes.train, task="pretrain").form == "images"


def test_images_with_masks(check, streets):
    clean = check(streets)
    assert (clean.form, clean.clean) == ("images with masks", True)
    masks = sorted((streets / "masks").rglob("*.png"))
    masks[0].write_bytes(b"")
    masks[1].unlink()
    with Image.open(masks[2]) as mask:
        mask.resize((9, 9), Image.Resampling.NEAREST).save(masks[2])
    found = check(streets)
    assert kinds(found.problems) == ["mask that cannot be used", "image without a mask", "mask that cannot be used"]
    assert [finding.files[0].stem for finding in found.problems] == [mask.stem for mask in masks[:3]]
    assert "9x9 px" in found.problems[2].what
    assert sum(found.counts["background"].values()) < sum(clean.counts["background"].values())


def test_coco_annotations(check, detect_scenes, tmp_path):
    data = shutil.copytree(detect_scenes, tmp_path / "animals")
    clean = check(data)
    assert (clean.form, clean.problems) == ("COCO annotations", ())
    file = data / "annotations_train.json"
    content = json.loads(file.read_text())
    assert {name: of_class["train"] for name, of_class in clean.counts.items()} == {
        category["name"]: sum(thing["category_id"] == category["id"] for thing in content["annotations"])
        for category in content["categories"]
    }
    things = content["annotations"]
    things[0]["bbox"] = [0, 0, 0, 5]
    things[1]["category_id"] = 99
    file.write_text(json.dumps(content))
    names = {image["id"]: image["file_name"] for image in content["images"]}
    gone, bad, copied = (data / "train" / name for name in sorted(names.values())[-3:])
    gone.unlink()
    bad.write_bytes(b"none")
    shutil.copy(copied, sorted((data / "val").iterdir())[0])  # of another size than the annotations are for, maybe
    found = check(data)
    of_annotations = {finding.annotation_id: finding.kind for finding in found.problems if finding.annotation_id}
    assert of_annotations[things[0]["id"]] == "box of no size"
    assert of_annotations[things[1]["id"]] == "unknown category"
    by_file = {finding.files[0]: finding.kind for finding in found.problems}
    assert (by_file[gone], by_file[bad]) == ("missing image file", "image that cannot be read")
    assert by_file[copied] == "same image in several parts"
    assert kinds(found.problems).count("unreadable image") == 0  # said once
    assert "image that is not listed" not in kinds(found.notes)


@pytest.mark.parametrize("form", ["YOLO", "Pascal VOC"])
def test_boxes_in_other_formats(check, tmp_path, form):
    data = tmp_path / "boxes"
    texts = ["0 0.5 0.5 0.4 0.4\n", "0 0.5 0.5 0.4 0.4\n0 0.5 0.5 0 0.4\n"]
    if form == "Pascal VOC":
        box = "<bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
        good, bad = (f"<object><name>dog</name>{box.format(left)}</object>" for left in (2, 20))
        texts = [f"<annotation>{good}</annotation>", f"<annotation>{good}{bad}</annotation>"]
    folder, end = ("labels", ".txt") if form == "YOLO" else ("Annotations", ".xml")
    images = data / ("images" if form == "YOLO" else "JPEGImages")
    for place, text in enumerate(texts):
        for path in (images, data / folder):
            path.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((48, 40), 90).convert("RGB").save(images / f"{place}.png")
        (data / folder / f"{place}{end}").write_text(text)
    (data / "classes.txt").write_text("dog\n")
    found = check(data)
    assert (found.form, found.images, found.counts) == (form, {"": 2}, {"dog": {"": 2}})
    assert kinds(found.problems) == ["box of no size"]
    assert found.problems[0].files == (data / folder / f"1{end}",)
    assert found.notes == ()
    shutil.rmtree(data / folder)
    assert check(data).form == "images"


def test_images_that_no_file_of_annotations_lists(check, detect_scenes, tmp_path, capsys):
    data = shutil.copytree(detect_scenes, tmp_path / "animals")
    forgotten = data / "train" / "more" / "forgotten.png"
    forgotten.parent.mkdir()
    Image.new("RGB", (20, 20)).save(forgotten)
    file = data / "annotations_val.json"
    content = json.loads(file.read_text())
    left = content["images"].pop()
    content["images"].append(content["images"][0] | {"id": 999})  # listed twice is listed
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] != left["id"]]
    file.write_text(json.dumps(content))
    found = check(data)
    unlisted = [finding for finding in found.notes if finding.kind == "image that is not listed"]
    assert [finding.files for finding in unlisted] == [(forgotten,), (data / "val" / left["file_name"],)]
    assert unlisted[0].what == "it is not in annotations_train.json, annotations_val.json"
    assert f"{forgotten}: image that is not listed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["{empty}"], "no images in this folder"),
        (["{empty}/none"], "there is no such file or folder"),
        (["{flowers}", "task=detect"], "no COCO annotations to use in this folder"),
        (["{flowers}", "task=segment"], "no folder images in this folder"),
        (["{empty}", "task=classify"], "no images in this folder"),
        (["{flowers}", "similar=2"], "similar: expected"),
        (["{flowers}", "val={empty}"], "no images in this folder"),
        ([], "data: required"),
    ],
)
def test_what_cannot_be_checked_ends_with_2(words, text, flowers, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    words = [word.format(empty=tmp_path / "empty", flowers=flowers) for word in words]
    assert main(["doctor", *words, f"out={tmp_path / 'out'}"]) == 2
    streams = capsys.readouterr()
    assert text in streams.err
    assert "Traceback" not in streams.err


def test_a_run_is_left_alone(check, flowers, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("data: x\n")
    with pytest.raises(InputError, match="out is the directory of a run"):
        check(flowers, out=tmp_path / "run")


@pytest.mark.parametrize(
    ("keys", "said", "kinds_of_notes"),
    [
        ({}, "image.range=12bit: 0 is black, 4095 is white", set()),
        (
            {"image": {"range": "full"}},
            "image.range=full: 0 is black, 65535 is white",
            {"nearly blank image", "very dark image"},
        ),
        ({"image.range": "200-2900"}, "image.range=200-2900: 200 is black, 2900 is white", set()),
    ],
)
def test_the_range_of_12_bits(check, tmp_path, keys, said, kinds_of_notes):
    rng = np.random.default_rng(0)
    for name, level in (("cold", 900), ("hot", 2599)):
        (tmp_path / "d" / name).mkdir(parents=True)
        values = rng.integers(300, 600, (48, 64)).astype(np.uint16)
        values[8:40, 16:48] = level + rng.integers(0, 200, (32, 32))
        values[0, 0], values[20, 20] = 300, level + 200
        Image.fromarray(values).save(tmp_path / "d" / name / "1.tiff")
    found = check(tmp_path / "d", similar=None, **keys)
    said = f"2 images with more than 8 bits per channel: values from 300 to 2799; {said}"
    assert said in (tmp_path / "out" / "report.html").read_text()
    assert found.clean
    assert {note.kind for note in found.notes} == kinds_of_notes


def test_masks_are_needed_by_some_detectors_alone(check, tmp_path):
    (tmp_path / "images").mkdir()
    images, annotations = [], []
    for number in range(4):
        Image.effect_noise((64, 48), 90).convert("RGB").save(tmp_path / "images" / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 48})
        outline = [[10, 8, 30, 8, 30, 28, 10, 28]] if number % 2 else []
        annotation = {"id": number, "image_id": number, "category_id": 1, "bbox": [10, 8, 20, 20]}
        annotations.append(annotation | {"segmentation": outline})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "x"}]}
    (tmp_path / "labels.json").write_text(json.dumps(content))
    data = tmp_path / "labels.json"
    found = check(data, images=tmp_path / "images", similar=None)
    assert (kinds(found.problems), kinds(found.notes)) == ([], ["annotation without mask"] * 2)
    assert found.counts == {"x": {"": 4}}
    assert kinds(check(data, images=tmp_path / "images", detector="faster_rcnn", similar=None).notes) == []
    masks = check(data, images=tmp_path / "images", detector="mask_rcnn")
    assert kinds(masks.problems) == ["annotation without mask"] * 2
    with pytest.raises(InputError, match="no detector 'rcnn'"):
        check(data, images=tmp_path / "images", detector="rcnn")
