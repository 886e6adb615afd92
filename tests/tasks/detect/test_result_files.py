"""What `predict` writes beside its own files: our readers read it again, with the same boxes, masks and classes."""

import csv
import json

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco_masks
from PIL import Image

from fastitpn.data.classification.labelled import labelled
from fastitpn.data.detection.formats.label_studio_brush import decode_brush, encode_brush
from fastitpn.data.detection.formats.registry import recognise
from fastitpn.data.detection.images import detection_images
from fastitpn.data.detection.masks import unpack_masks
from fastitpn.errors import InputError
from fastitpn.inference.prediction import write_csv
from fastitpn.inference.sources import collect_sources
from fastitpn.tasks.detect.prediction import DetectPrediction
from fastitpn.tasks.detect.results import DetectedInstance, Detections, ImageDetections

NAMES, SIZE = ("cat", "a/dog"), (40, 30)
BOXES = {
    "sub/a.jpg": [(0, (2.0, 3.0, 20.5, 18.0)), (1, (10.0, 0.0, 40.0, 30.0))],
    "b.png": [],
    "sub/c.png": [(1, (5.0, 5.0, 6.0, 9.0))],
}


def blob(box: tuple[float, ...]) -> np.ndarray:
    """A disc in two parts inside of a box."""
    left, top, right, bottom = box
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] + 0.5
    disc = ((2 * x - left - right) / (right - left)) ** 2 + ((2 * y - top - bottom) / (bottom - top)) ** 2 <= 1
    return disc & (np.arange(SIZE[0]) % 7 != 3)


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for name in BOXES:
        Image.effect_noise(SIZE, 90).convert("RGB").save(folder / name)
    return folder


def detections(source, *, masks: bool) -> Detections:
    results = []
    for index, (name, objects) in enumerate(BOXES.items()):
        [image] = collect_sources(source / name)
        instances = tuple(
            DetectedInstance(
                name=NAMES[label],
                label=label,
                score=0.9 - 0.1 * place,
                box=box,
                rle=coco_masks.encode(np.asfortranarray(blob(box), np.uint8)) if masks else None,
            )
            for place, (label, box) in enumerate(objects)
        )
        shared = {"index": index, "path": source / name, "source": image}
        results.append(ImageDetections(**shared, size=SIZE, instances=instances, classes=NAMES))
    return Detections(tuple(results))


@pytest.mark.parametrize("masks", [False, True])
@pytest.mark.parametrize("form", ["coco", "yolo", "label_studio", "cvat", "csv"])
def test_it_is_read_again(form, masks, source, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    results = detections(source, masks=masks)
    results.to_coco(out / "coco.json", root=source)
    data = DetectPrediction.writers[form](results, source, out)
    kept = masks and form in ("coco", "label_studio", "cvat")
    folder = None if form == "yolo" else source
    assert recognise(data) == form
    images = detection_images(data, images=folder, with_masks=kept)
    read = {}
    for index, path in enumerate(images.paths):
        annotations = images.annotations(index)
        name = path.relative_to(data / "images" if form == "yolo" else source).as_posix()
        if kept:
            unpacked = unpack_masks(annotations.masks, SIZE[1], SIZE[0])
            known = [blob(box) for _, box in BOXES[name]]
            assert [mask.tolist() for mask in unpacked] == [mask.tolist() for mask in known]
        labels = [images.classes.names[label] for label in annotations.labels.tolist()]
        read[name] = list(zip(labels, annotations.boxes.tolist(), strict=True))
    assert set(read) == set(BOXES)
    for name, objects in BOXES.items():
        assert [label for label, _ in read[name]] == [NAMES[label] for label, _ in objects]
        if not kept or form == "coco":
            for (_, box), (_, expected) in zip(read[name], objects, strict=True):
                assert box == pytest.approx(expected, abs=0.01)


def test_csv_and_label_studio_say_how_sure_it_is(source, tmp_path):
    results = detections(source, masks=False)
    with write_csv(results, source, tmp_path).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        **{"image": "sub/a.jpg", "width": "40", "height": "30", "class": "cat", "score": "0.9"},
        **{"xmin": "2.0", "ymin": "3.0", "xmax": "20.5", "ymax": "18.0"},
    }
    assert [(row["image"], row["class"]) for row in rows[1:3]] == [("sub/a.jpg", "a/dog"), ("b.png", "")]
    tasks = json.loads(DetectPrediction.writers["label_studio"](results, source, tmp_path).read_text())
    assert tasks[0]["predictions"][0]["result"][1]["score"] == pytest.approx(0.8)
    config = (tmp_path / "label_studio_config.xml").read_text()
    assert '<Label value="a/dog" />' in config


def test_crops_are_a_folder_of_classes(source, tmp_path):
    folder = DetectPrediction.writers["crops"](detections(source, masks=False), source, tmp_path)
    pictures = {}
    for path in folder.rglob("*.png"):
        with Image.open(path) as picture:
            pictures[path.relative_to(folder).as_posix()] = picture.copy()
    sizes = {name: picture.size for name, picture in pictures.items()}
    assert sizes == {"cat/sub_a_1.png": (19, 15), "a_dog/sub_a_2.png": (30, 30), "a_dog/sub_c_1.png": (1, 4)}
    with Image.open(source / "sub" / "c.png") as whole:
        assert np.array_equal(np.asarray(pictures["a_dog/sub_c_1.png"]), np.asarray(whole.crop((5, 5, 6, 9))))
    assert labelled(folder).classes == ["a_dog", "cat"]


@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (300, 400)])
def test_a_brush_is_read_as_it_was_written(shape):
    random = np.random.default_rng(0)
    for mask in (np.zeros(shape, bool), np.ones(shape, bool), random.random(shape) > 0.5):
        assert np.array_equal(decode_brush(encode_brush(mask), *shape), mask)


def test_another_form(source):
    prediction = DetectPrediction(None, min_score=0.5)  # type: ignore[arg-type]
    prediction.choose_writers(["csv", "crops", "csv"])
    assert prediction.write_as == ("csv", "crops")
    with pytest.raises(InputError, match="results of this task have no form voc") as caught:
        prediction.choose_writers(["csv", "voc"])
    assert caught.value.fix == "write=csv"
