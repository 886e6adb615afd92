"""`fastitpn doctor` on masks from COCO's files: things, and panoptic segments."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import fastitpn
from fastitpn.data.segmentation.classes import IGNORE
from fastitpn.data.segmentation.images import MaskFolders, segmentation_images
from fastitpn.errors import InputError

pytestmark = pytest.mark.drawn


@pytest.fixture
def check(tmp_path):
    """Runs the function with keys; small scenes are all alike."""
    return lambda data, **keys: fastitpn.doctor(data, **{"out": tmp_path / "out", "similar": None, **keys})


@pytest.fixture
def segments(panoptic_scenes, tmp_path):
    """Panoptic data to damage."""
    return shutil.copytree(panoptic_scenes, tmp_path / "segments")


@pytest.fixture
def things(detect_scenes, tmp_path):
    """Masks of things to damage."""
    return shutil.copytree(detect_scenes, tmp_path / "things")


def change(file, how):
    content = json.loads(file.read_text())
    how(content)
    file.write_text(json.dumps(content))


def pixels(data, part, **keys):
    """Of each class, by the reader of the training."""
    images = segmentation_images(MaskFolders(data=data / part, **keys))
    labels = np.concatenate([images.labels(index).ravel() for index in range(len(images))])
    return {name: int((labels == label).sum()) for label, name in enumerate(images.classes.names)}, labels


class TestPanoptic:
    def test_clean(self, check, segments, tmp_path):
        found = check(segments)
        assert (found.form, found.clean) == ("COCO panoptic", True)
        assert found.images == {"train": 10, "val": 5}
        expected, _ = pixels(segments, "annotations/panoptic_val.json")
        assert {name: by_part["val"] for name, by_part in found.counts.items()} == expected
        page = (tmp_path / "out" / "report.html").read_text()
        for part in ("segments of stuff", "classes of things", "mammal, produce, building", "Balance of the classes"):
            assert part in page

    def test_a_file_alone(self, check, segments):
        found = check(segments / "annotations" / "panoptic_train.json")
        assert (found.form, found.images) == ("COCO panoptic", {"": 10})

    def test_everything_wrong_is_named(self, check, segments, tmp_path):
        pngs = segments / "annotations" / "panoptic_train"
        (pngs / "000000.png").unlink()
        Image.new("RGB", (70, 70), (9, 9, 9)).save(pngs / "000001.png")

        def spoil(content):
            content["annotations"][2]["segments_info"][0]["category_id"] = 99
            content["annotations"][3]["segments_info"][0]["id"] = 70_000
            content["annotations"].pop()

        change(pngs.with_suffix(".json"), spoil)
        found = check(segments)
        problems = {problem.kind: problem for problem in found.problems if "class" not in problem.kind}
        assert set(problems) == {
            "file that cannot be read",
            "segments of another size",
            "unknown category",
            "unknown segment",
        }
        assert problems["unknown category"].segment_id == problems["unknown segment"].segment_id == 1
        assert [problems[kind].image_id for kind in ("unknown category", "unknown segment")] == [3, 4]
        assert problems["unknown segment"].files == (pngs / "000003.png",)
        assert str(problems["unknown segment"]).startswith(f"{pngs / '000003.png'}, segment 1, image 4: ")
        assert found.images == {"train": 9, "val": 5}  # one has no segments: that is a fact, and no problem
        page = (tmp_path / "out" / "report.html").read_text()
        assert "segment id" in page
        rows = [json.loads(line) for line in (tmp_path / "out" / "findings.jsonl").read_text().splitlines()]
        assert {row["segment_id"] for row in rows if row["kind"].startswith("unknown")} == {1}

    def test_other_classes(self, check, segments, tmp_path):
        classes = tmp_path / "classes.yaml"
        classes.write_text("names: [background, mammal, produce]")
        kinds = {problem.kind for problem in check(segments, classes=classes).problems}
        assert "other classes" in kinds


class TestThings:
    """Masks of things, as classes of pixels."""

    def test_clean(self, check, things):
        found = check(things, task="segment")
        assert (found.form, found.images) == ("COCO masks", {"train": 10, "val": 5})
        assert next(iter(found.counts)) == "background"
        images = segmentation_images(MaskFolders(data=things))
        labels = np.concatenate([images.labels(index).ravel() for index in range(len(images))])
        assert [by_part["val"] for by_part in found.counts.values()] == np.bincount(labels, minlength=4).tolist()
        assert IGNORE not in labels
        without = check(things, task="segment", reduce_zero_label=True)
        assert list(without.counts) == list(found.counts)[1:]

    def test_without_the_task_it_is_for_detection(self, check, things):
        assert check(things).form == "COCO annotations"

    def test_everything_wrong_is_named(self, check, things, tmp_path):
        def spoil(content):
            content["annotations"][0]["segmentation"] = []
            content["annotations"][1]["segmentation"] = [[1, 2]]
            content["annotations"][2]["category_id"] = 99

        change(things / "annotations_train.json", spoil)
        found = check(things, task="segment")
        named = {problem.annotation_id: problem.kind for problem in found.problems if problem.annotation_id}
        assert named == {1: "annotation without mask", 2: "mask that cannot be used", 3: "unknown category"}

    def test_boxes_alone(self, check, things):
        for part in ("train", "val"):
            change(
                things / f"annotations_{part}.json",
                lambda content: [thing.pop("segmentation") for thing in content["annotations"]],
            )
        with pytest.raises(InputError, match="no annotation of this file has a mask"):
            check(things, task="segment")
