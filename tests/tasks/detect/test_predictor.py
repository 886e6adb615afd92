"""From a checkpoint of a detector to the objects in images."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from coco_example import read_coco

import fastitpn
from fastitpn.errors import InputError
from fastitpn.tasks.detect.predictor import DetectPredictor
from fastitpn.tasks.detect.results import Detections, ImageDetections

NAMES = ("mammal", "produce", "building")


@pytest.fixture(scope="module")
def predictor(detector_run) -> DetectPredictor:
    predictor = fastitpn.load(detector_run.directory, device="cpu")
    assert isinstance(predictor, DetectPredictor)
    return predictor


def test_what_is_loaded(predictor):
    assert (predictor.classes, predictor.category_ids) == (NAMES, (1, 2, 3))
    assert repr(predictor) == "DetectPredictor(3 classes, 32 px, on cpu)"


def test_instances_are_in_pixels_of_their_image(predictor, photos):
    results = predictor(list(photos.values()), min_score=0.0)
    assert isinstance(results, Detections)
    farthest = []
    for one, picture in zip(results, photos.values(), strict=True):
        assert one.size == picture.size
        scores = [instance.score for instance in one.instances]
        assert scores == sorted(scores, reverse=True)
        assert scores
        boxes = np.array([instance.box for instance in one.instances])
        assert (boxes >= -1e-3).all()
        assert (boxes[:, [0, 2]] <= picture.width + 1e-3).all()
        assert (boxes[:, [1, 3]] <= picture.height + 1e-3).all()
        farthest.append(boxes[:, 2].max() / picture.width)
        for instance in one.instances[:3]:
            assert NAMES[instance.label] == instance.name
            assert instance.mask is not None
            assert (instance.mask.shape, instance.mask.dtype) == ((picture.height, picture.width), bool)
    assert max(farthest) > 0.9  # not in the size in which the network looks at it, which is half as large


def test_the_least_score_is_kept_to(predictor, photos):
    every, few = (predictor(photos["coffee"], least)[0] for least in (0.0, 0.2))
    assert list(few.instances) == [instance for instance in every.instances if instance.score >= 0.2]
    assert len(few.instances) < len(every.instances)
    with pytest.raises(InputError, match="min_score is 2"):
        predictor(photos["coffee"], 2)


def test_files_arrays_and_tensors_give_the_same(predictor, photos, tmp_path):
    picture = photos["coffee"].convert("RGB")
    picture.save(tmp_path / "a.png")
    array = np.asarray(picture)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    results = predictor([tmp_path / "a.png", picture, array, tensor], 0.0)
    assert results[0].path == tmp_path / "a.png"
    for one in results[1:]:
        assert one.path is None
        assert one.instances == results[0].instances


def test_a_stream_tells_what_it_skips(predictor, folder):
    (folder / "near" / "broken.png").write_text("text")
    stream = predictor.stream(folder, on_error="skip")
    assert isinstance(next(stream), ImageDetections)
    assert len(list(stream)) == 5
    results = predictor(folder, on_error="skip")
    assert (len(results), [one.name for one in results.skipped]) == (5, [str(folder / "near" / "broken.png")])
    with pytest.raises(InputError, match="1 of 6 images cannot be read"):
        predictor(folder)


def test_workers_change_nothing(predictor, photos, tmp_path):
    for number in range(9):
        photos["coffee"].rotate(number).save(tmp_path / f"{number}.png")
    alone, helped = (predictor(tmp_path, workers=workers) for workers in (0, 1))
    assert [one.to_json() for one in alone] == [one.to_json() for one in helped]


def test_images_in_which_nothing_is_found(name, create, classes, photos, tmp_path):
    predictor = DetectPredictor(
        create(name), classes=classes, px=64, max_px=96, mean=(0.5,) * 3, std=(0.5,) * 3, device="cpu"
    )
    results = predictor([photos["coffee"], photos["rocket"]], 1)
    assert [(one.things, one.summary(), one.shares()) for one in results] == [((), "nothing", [])] * 2
    assert results[0].draw().size == results[0].frame().size
    assert results.contact_sheet(px=60).width > 60
    content = json.loads(results.to_coco(tmp_path / "coco.json").read_text())
    assert (len(content["images"]), content["annotations"], len(content["categories"])) == (2, [], 2)


class TestResults:
    @pytest.fixture
    def one(self, predictor, photos) -> ImageDetections:
        [one] = predictor(photos["astronaut"], 0.0)
        return dataclasses.replace(one, instances=one.instances[:4])

    def test_it_draws_itself(self, one):
        plain = dataclasses.replace(one, instances=()).draw()
        assert one.draw().size == plain.size
        assert not np.array_equal(np.asarray(one.draw()), np.asarray(plain))
        assert max(one.draw(60).size) == 60

    def test_json(self, one):
        row = json.loads(json.dumps(one.to_json()))
        assert one.things == one.instances  # what they are called in the JSON
        assert (row["index"], row["path"]) == (0, None)
        assert (row["width"], row["height"]) == one.size
        assert set(row["things"][0]) == {"class", "label", "score", "box", "mask"}
        assert row["things"][0]["mask"]["size"] == [one.size[1], one.size[0]]

    def test_summary(self, one):
        assert dataclasses.replace(one, instances=()).summary() == "nothing"
        counts = [int(part.split()[0]) for part in one.summary().split(", ")]
        assert sum(counts) == 4

    def test_many(self, predictor, photos, tmp_path):
        results = predictor(list(photos.values()), 0.2)
        assert len(results.to_json_lines(tmp_path / "a.jsonl").read_text().splitlines()) == 5
        assert results.contact_sheet(columns=2, px=80).width > 160
        assert isinstance(results[1:3], Detections)
        assert repr(results).startswith("Detections(5 images: ")
        with pytest.raises(InputError, match="there are no predictions to draw"):
            Detections(()).contact_sheet()

    def test_what_is_found_can_be_read_as_annotations(self, predictor, photos, tmp_path):
        (tmp_path / "images").mkdir()
        for name, picture in photos.items():
            picture.convert("RGB").save(tmp_path / "images" / f"{name}.png")
        results = predictor(tmp_path / "images", 0.15)
        file = results.to_coco(tmp_path / "coco.json", category_ids=(4, 5, 9), root=tmp_path / "images")
        read = read_coco(file, tmp_path / "images", on_error="skip")
        assert read.classes.ids == (4, 5, 9)
        assert len(read) == 5
        assert read.num_annotations > 0
        assert read.has_masks
